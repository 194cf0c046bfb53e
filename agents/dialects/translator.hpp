#pragma once

#include "agents/dialect.hpp"
#include "agents/json_text.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sandy::agents {

/// A dialect whose lines are said again in Claude's stream format, which is all that clients can read. Each
/// object also carries the line it came from, as `raw`, unless that is long. A line that a dialect does not
/// know becomes a `system` object of subtype `event` with `raw`, or, when that is long, plain output.
class translator : public dialect {
public:
  /// Longest line, in bytes, that is carried as `raw`. Some agents repeat the whole message with each word of
  /// it.
  static constexpr std::size_t longest_raw = 16 * 1024;

  void read(std::string_view line, std::vector<event>& into) final;
  void finish(std::vector<event>& into) final;

protected:
  /// Says what `said` means, through the functions below; nothing, if it is known and means nothing.
  /// @returns false if it is not understood; nothing was said then.
  virtual bool translate(const json& said) = 0;

  /// The same for a line that is no object. Most programs print none; those are outputs.
  virtual bool hear(std::string_view line);

  /// The session began. Says so once; later calls only take an id that was not known.
  void begin(const std::string& session_id, const std::string& model = {});
  void say(const std::string& text);   ///< a complete text of the agent
  void think(const std::string& text); ///< a complete thought
  void say_part(const std::string& text);
  void think_part(const std::string& text);
  /// The same as `say_part`, for agents that never repeat the whole: it is said by `say_collected`.
  void collect(const std::string& text);
  void say_collected();
  void use_tool(const std::string& id, const std::string& name, const json& input);
  void tool_done(const std::string& id, const json& content, bool failed);
  void complain(const std::string& text); ///< an error after which the agent may go on
  void note(std::string_view subtype, const std::string& text);

  void go_on();                            ///< takes back an ending: the agent works again
  void succeed();                          ///< the work is done; the answer is the last text said
  void succeed(const std::string& answer); ///< likewise, with the answer that the agent names
  void fail_with(const std::string& why);  ///< said at the end of the output, unless it succeeds after all

private:
  void emit(json made);
  void emit_message(std::string_view role, json block);
  void emit_part(json delta);
  void emit_result(bool failed, const std::string& text);

  std::string_view raw_;               ///< of the line being read; empty: too long, or carried already
  std::vector<event>* into_ = nullptr; ///< during `read` and `finish`
  std::string collected_;
  std::string last_text_;
  bool begun_ = false;
  bool failure_unsaid_ = false;
};

} // namespace sandy::agents
