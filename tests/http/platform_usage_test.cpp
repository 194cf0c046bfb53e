#include "http/platform/usage_reader.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

using namespace sandy::http::platform;

namespace {

/// Everything that a reader says in the end.
struct said {
  std::optional<token_counts> counts;
  std::string model;
  std::uint64_t events = 0;
  bool done = false;
  bool between = false;
  friend bool operator==(const said&, const said&) = default;
};

said read_in(answer_form form, std::string_view text, const std::vector<std::size_t>& pieces) {
  usage_reader reader{form};
  std::size_t next = 0;
  while (!text.empty()) {
    auto piece = text.substr(0, pieces[next++ % pieces.size()]);
    text.remove_prefix(piece.size());
    while (!piece.empty()) {
      auto taken = reader.take(piece);
      REQUIRE(taken > 0);
      REQUIRE(taken <= piece.size());
      piece.remove_prefix(taken);
    }
  }
  return {reader.counts(), reader.model(), reader.events(), reader.done(), reader.between_events()};
}

said read_whole(answer_form form, std::string_view text) { return read_in(form, text, {text.size() + 1}); }

const std::string chat_stream = R"(: ping

data: {"id":"1","model":"org\/m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"a \"usage\": {"}}]}

data: {"choices":[{"delta":{"content":"}"},"usage":{"prompt_tokens":999999}}]}

event: x
data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,
data: "prompt_tokens_details":{"cached_tokens":8,"prompt_tokens":777}}}

data: [DONE]

)";
const said chat_said{token_counts{12, 34}, "org/m-1", 3, true, true};

} // namespace

TEST_CASE("usage is read from a stream, wherever it is split", "[platform]") {
  CHECK(read_whole(answer_form::events, chat_stream) == chat_said);
  for (std::size_t at = 1; at < chat_stream.size(); ++at)
    CHECK(read_in(answer_form::events, chat_stream, {at, chat_stream.size()}) == chat_said);
  CHECK(read_in(answer_form::events, chat_stream, {1}) == chat_said);
}

TEST_CASE("lines may end as they like", "[platform]") {
  for (auto end : {"\r\n", "\r"}) {
    std::string text;
    for (char c : chat_stream)
      c == '\n' ? text += end : text += c;
    CHECK(read_in(answer_form::events, text, {1}) == chat_said);
    CHECK(read_whole(answer_form::events, text) == chat_said);
  }
}

TEST_CASE("a reader stops at the end of each event", "[platform]") {
  usage_reader reader{answer_form::events};
  std::string_view text = "data: 1\n\ndata: 2\n\ndat";
  CHECK(reader.take(text) == 9);
  CHECK(reader.between_events());
  CHECK(reader.events() == 1);
  text.remove_prefix(9);
  CHECK(reader.take(text) == 9);
  text.remove_prefix(9);
  CHECK(reader.take(text) == 3);
  CHECK_FALSE(reader.between_events());
  CHECK(reader.events() == 2);
}

TEST_CASE("usage is read from JSON, in all the forms that services have", "[platform]") {
  auto counts = [](std::string_view text) {
    for (std::size_t at = 1; at < text.size(); ++at)
      REQUIRE(read_in(answer_form::json, text, {at, text.size()}) == read_whole(answer_form::json, text));
    return read_whole(answer_form::json, text).counts;
  };
  CHECK(counts(R"({"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}})") == token_counts{5, 0});
  CHECK(counts(R"({"usage":{"total_tokens":7}})") == token_counts{7, 0});
  CHECK(counts(R"({"usage":{"input_tokens":3,"cache_read_input_tokens":10,"cache_creation_input_tokens":20,
                   "output_tokens":4}})") == token_counts{33, 4});
  CHECK(
      counts(R"({"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}})") ==
      token_counts{1, 2});
  CHECK(counts(R"({"usage":null})") == std::nullopt);
  CHECK(counts(R"({"usage":{"prompt_tokens":-5,"completion_tokens":1.5}})") == std::nullopt);
  CHECK(counts(R"({"usage":{"prompt_tokens":99999999999999999999}})") == std::nullopt);
  CHECK(counts(R"({"usage":[{"prompt_tokens":5}]})") == std::nullopt);
  CHECK(counts(R"({"choices":[{"usage":{"prompt_tokens":5}}]})") == std::nullopt);
  CHECK(counts(R"({"text":"usage","x":{"prompt_tokens":5}})") == std::nullopt);
  CHECK(counts(R"({"text":"\"usage\":{\"prompt_tokens\":5}"})") == std::nullopt);
  CHECK(counts("prompt_tokens: 5") == std::nullopt);
}

TEST_CASE("what an asker may have written is neither the model nor the usage", "[platform]") {
  auto read = [](std::string_view text) { return read_whole(answer_form::json, text); };
  CHECK(read(R"({"model":"big","metadata":{"model":"small"}})").model == "big");
  CHECK(read(R"({"metadata":{"model":"small","usage":{"prompt_tokens":5}}})") == read("{}"));
  CHECK(read(R"({"response":{"model":"big","metadata":{"model":"small"}}})").model == "big");
  CHECK(read(R"({"message":{"model":"big","usage":{"input_tokens":5}}})").counts == token_counts{5, 0});
  CHECK(read(R"({"message":[{"model":"small","usage":{"input_tokens":5}}]})") == read("{}"));
  CHECK(read(R"({"x":{"message":{"model":"small"}}})").model.empty());
}

TEST_CASE("counts that grow in a stream are sums", "[platform]") {
  auto text = R"(event: message_start
data: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":25,"output_tokens":1}}}

event: message_delta
data: {"type":"message_delta","usage":{"output_tokens":15}}

)";
  CHECK(read_whole(answer_form::events, text).counts == token_counts{25, 15});
}

TEST_CASE("the form of an answer is that of its content type", "[platform]") {
  CHECK(form_of("text/event-stream; charset=utf-8") == answer_form::events);
  CHECK(form_of("Application/JSON") == answer_form::json);
  CHECK(form_of("application/problem+json") == answer_form::json);
  CHECK(form_of("audio/mpeg") == answer_form::other);
  CHECK(form_of("") == answer_form::other);
}

TEST_CASE("whatever comes is read alike in pieces and as a whole", "[platform][fuzz]") {
  std::mt19937 random{20261122};
  const std::vector<std::string> words{"data:",
                                       "data: ",
                                       "\n",
                                       "\r",
                                       "\n\n",
                                       "\"usage\"",
                                       ":",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       "\"",
                                       "\\",
                                       "12",
                                       "-3",
                                       "1e9",
                                       "\"model\"",
                                       "[DONE]",
                                       "\\\"",
                                       "null",
                                       "\"total_tokens\"",
                                       "\"prompt_tokens\"",
                                       "\"output_tokens\"",
                                       ": ping",
                                       "event: x",
                                       "\\u0041",
                                       "dat"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto count = random() % 40; count > 0; --count)
      text += random() % 8 == 0 ? std::string(random() % 200, static_cast<char>(random() % 256))
                                : words[random() % words.size()];
    auto form = random() % 2 == 0 ? answer_form::events : answer_form::json;
    std::vector<std::size_t> pieces;
    for (int i = 0; i < 7; ++i)
      pieces.push_back(1 + random() % 9);
    if (!text.empty())
      CHECK(read_in(form, text, pieces) == read_whole(form, text));
  }
}

TEST_CASE("memory does not grow with what is read", "[platform]") {
  usage_reader reader{answer_form::events};
  const std::string megabyte(1 << 20, 'x');
  for (int i = 0; i < 32; ++i) {
    std::string_view rest = megabyte;
    if (i == 0)
      reader.take("data: {\"model\":\"");
    while (!rest.empty())
      rest.remove_prefix(reader.take(rest));
  }
  CHECK(reader.model().empty());
  CHECK_FALSE(reader.between_events());
  CHECK(reader.bytes() == (32u << 20) + 16);
}
