#include "agents/dialects/claude.hpp"

#include "agents/dialects/sound_line.hpp"

namespace sandy::agents {

namespace {

/// What a failed `result` says: its text, else its error or list of them, else how it is classified.
std::string reason(const json& result) {
  for (auto text :
       {text_at(result, "result"), text_at(at(result, "error"), "message"), text_at(result, "error")})
    if (!text.empty())
      return text;
  std::string all;
  for (const auto& one : at(result, "errors"))
    all += (all.empty() ? "" : "; ") + shown(one);
  return all.empty() ? text_at(result, "subtype", "the agent reported a failure") : all;
}

} // namespace

void claude_dialect::read(std::string_view line, std::vector<event>& into) {
  if (is_blank(line))
    return;
  auto said = read_object(line);
  if (!said) {
    into.push_back(output{std::string(line)});
    return;
  }
  const auto& object = said->object;
  if (auto id = text_at(object, "session_id"); !id.empty())
    session_id_ = std::move(id);
  if (text_at(object, "type") == "result") {
    auto failed = true_at(object, "is_error") || text_at(object, "subtype", "success") != "success";
    ending_ = failed ? terminal::failure : terminal::success;
    failure_ = failed ? reason(object) : std::string();
    answer_ = text_at(object, "result");
    const auto& counts = at(object, "usage");
    used_ = {count_at(counts, "input_tokens"),
             count_at(counts, "output_tokens"),
             count_at(counts, "cache_read_input_tokens"),
             count_at(counts, "cache_creation_input_tokens"),
             {}};
    if (const auto& cost = at(object, "total_cost_usd"); cost.is_number())
      used_.cost_usd = cost.get<double>();
  }
  into.push_back(agent_output{std::move(said->text)});
}

void claude_dialect::finish(std::vector<event>&) {}

} // namespace sandy::agents
