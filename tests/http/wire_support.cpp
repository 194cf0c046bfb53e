#include "wire_support.hpp"

#include <catch2/catch.hpp>

#include <functional>

namespace sandy::http {

using nlohmann::json;

std::vector<told> events_of(std::string_view stream) {
  std::vector<told> events;
  while (!stream.empty()) {
    auto end = stream.find("\n\n");
    REQUIRE(end != stream.npos);
    auto event = stream.substr(0, end);
    stream.remove_prefix(end + 2);
    if (event.starts_with(':'))
      continue;
    REQUIRE(event.starts_with("event: "));
    auto line = event.find('\n');
    auto data = event.substr(line + 1);
    REQUIRE(data.starts_with("data: "));
    REQUIRE(data.find('\n') == data.npos);
    told each{std::string{event.substr(7, line - 7)}, json::parse(data.substr(6))};
    CHECK(each.data.at("type") == each.event);
    events.push_back(std::move(each));
  }
  return events;
}

std::vector<std::string> types_of(const std::vector<told>& events) {
  std::vector<std::string> types;
  for (const auto& each : events)
    types.push_back(each.event);
  return types;
}

json chat_delta(json delta, json finish) {
  return {{"id", "chatcmpl-1"},
          {"object", "chat.completion.chunk"},
          {"choices",
           json::array({{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", std::move(finish)}}})}};
}

std::vector<json> chat_chunks() {
  auto call = [](int index, json more) {
    more["index"] = index;
    return chat_delta({{"tool_calls", json::array({std::move(more)})}});
  };
  return {
      chat_delta({{"role", "assistant"}, {"content", ""}}),
      chat_delta({{"reasoning_content", "Let me "}}),
      chat_delta({{"reasoning_content", "think."}}),
      chat_delta({{"content", "I will "}}),
      chat_delta({{"content", "look."}}),
      call(0, {{"id", "call_a"}, {"type", "function"}, {"function", {{"name", "read"}, {"arguments", ""}}}}),
      call(0, {{"function", {{"arguments", "{\"path\":"}}}}),
      call(0, {{"function", {{"arguments", "\"a.txt\"}"}}}}),
      call(1, {{"id", "call_b"}, {"function", {{"name", "list"}, {"arguments", "{}"}}}}),
      chat_delta(json::object(), "tool_calls"),
      {{"choices", json::array()},
       {"usage",
        {{"prompt_tokens", 100},
         {"completion_tokens", 20},
         {"prompt_tokens_details", {{"cached_tokens", 60}}}}}},
  };
}

namespace {

void each_place(const json& value, const json::json_pointer& at,
                const std::function<void(json::json_pointer)>& use) {
  if (!at.empty())
    use(at);
  if (value.is_object())
    for (const auto& [name, inner] : value.items())
      each_place(inner, at / name, use);
  if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i)
      each_place(value[i], at / i, use);
}

} // namespace

void check_wrong_types(const json& request, caf::error (*read)(const json&)) {
  REQUIRE(read(request) == caf::error{});
  std::size_t refused = 0;
  each_place(request, json::json_pointer{}, [&](const json::json_pointer& place) {
    for (const auto& wrong : {json(), json(true), json(-1), json(1e300), json("\xff"), json::array({json()}),
                              json::object(), json::array()}) {
      auto changed = request;
      changed[place] = wrong;
      auto err = read(changed);
      if (!err)
        continue;
      ++refused;
      INFO(place.to_string() << " is " << wrong.dump(-1, ' ', false, json::error_handler_t::replace) << ": "
                             << text_of(err));
      auto path = place.to_string().substr(1);
      CHECK(code_of(err) == errc::invalid_argument);
      // A choice may name a tool that is no longer there.
      auto named = text_of(err).starts_with(path.substr(0, path.find('/'))) ||
                   (path.starts_with("tools") && text_of(err).starts_with("tool_choice "));
      CHECK(named);
    }
  });
  CHECK(refused > 100);
}

} // namespace sandy::http
