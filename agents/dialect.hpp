#pragma once

#include "agents/definition.hpp"
#include "agents/event.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::agents {

/// Reads the lines that one agent prints, in its own format, and says what they mean. One per run. Trusts
/// nothing: a line that it cannot read is text, and none is lost. Never throws.
class dialect {
public:
  virtual ~dialect() = default;

  /// Reads one line without its end. Appends what it means to `into`: nothing for a line without content.
  virtual void read(std::string_view line, std::vector<event>& into) = 0;

  /// The output ended. Appends what was held back: that a run failed is said only when nothing better
  /// followed.
  virtual void finish(std::vector<event>& into) = 0;

  /// The id by which the agent can resume this run; empty: it said none.
  const std::string& session_id() const noexcept { return session_id_; }

  /// What the agent said last about its end.
  terminal ending() const noexcept { return ending_; }

  /// Whether a run that ended by itself with this exit code succeeded. Agents exit with 0 after failures and
  /// signals, so where the format has words for success, they have to be said too.
  virtual bool succeeded(int exit_code) const noexcept {
    return exit_code == 0 && ending_ == terminal::success;
  }

  /// Why it failed, in the agent's words; empty unless `ending()` is `failure`.
  const std::string& failure() const noexcept { return failure_; }

  const usage& used() const noexcept { return used_; }

  /// The agent's final answer, where its format says one.
  const std::string& answer() const noexcept { return answer_; }

protected:
  dialect() = default;
  dialect(const dialect&) = default;
  dialect& operator=(const dialect&) = default;

  std::string session_id_;
  terminal ending_ = terminal::none;
  std::string failure_;
  usage used_;
  std::string answer_;
};

/// A reader for the output of this agent.
std::unique_ptr<dialect> make_dialect(const definition& agent);

} // namespace sandy::agents
