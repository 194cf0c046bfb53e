// The parts of the gateway that know nothing of sockets.

#include "http/gateway/agent_steps.hpp"
#include "http/gateway/arena.hpp"
#include "http/gateway/artifacts.hpp"
#include "http/gateway/chat_request.hpp"
#include "http/gateway/gateway.hpp"
#include "http/gateway/sse_lines.hpp"
#include "http/gateway/url_backend.hpp"
#include "http/gateway/whole_answer.hpp"
#include "metrics/registry.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <random>

using namespace sandy;
using namespace sandy::http::gateway;
using nlohmann::json;

namespace {

std::string passed(std::string_view text, std::size_t step, bool* done = nullptr) {
  sse_lines lines;
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += step)
    lines.feed(text.substr(at, step), out);
  lines.finish(out);
  if (done != nullptr)
    *done = lines.done();
  return out;
}

std::string without_usage(std::string_view line) {
  std::string out;
  append_without_empty_usage(out, line);
  return out;
}

model named(std::string id, std::vector<std::string> aliases = {}) {
  model made;
  made.id = std::move(id);
  made.aliases = std::move(aliases);
  return made;
}

chat_request asks(std::string model, std::string competitor = {}) {
  chat_request made;
  made.model = std::move(model);
  made.competitor = std::move(competitor);
  return made;
}

} // namespace

TEST_CASE("lines of data and comments are passed on, each with an empty line, however they come",
          "[gateway]") {
  const std::string text = "event: x\ndata: 1\n\n:c\r\n\r\ndata:2\rretry: 5\rdata: 3\n\n\nid\ndatum: 4\ndata";
  for (std::size_t step = 1; step <= text.size(); ++step)
    CHECK(passed(text, step) == "data: 1\n\n:c\n\ndata:2\n\ndata: 3\n\n");
  CHECK(passed("data: last", 3) == "data: last\n\n");
}

TEST_CASE("the end is noted, not passed on, and nothing follows it", "[gateway]") {
  for (const auto* end : {"data: [DONE]", "data:[DONE]", "data: [DONE] "}) {
    auto done = false;
    CHECK(passed(std::string{"data: 1\n\n"} + end + "\n\ndata: 2\n\n", 1, &done) == "data: 1\n\n");
    CHECK(done);
  }
  auto done = true;
  CHECK(passed("data: \"[DONE]\"\n\n", 100, &done) == "data: \"[DONE]\"\n\n");
  CHECK_FALSE(done);
}

TEST_CASE("an empty usage is left out, any other stays", "[gateway]") {
  CHECK(without_usage(R"(data: {"a":1,"usage":null})") == R"(data: {"a":1})");
  CHECK(without_usage(R"(data: {"usage": null, "a":1})") == R"(data: { "a":1})");
  CHECK(without_usage(R"(data: {"usage":null})") == R"(data: {})");
  CHECK(without_usage(R"(data: {"a":1 , "usage" : null , "b":2})") == R"(data: {"a":1 , "b":2})");
  for (const auto* same :
       {R"(data: {"usage":{"a":null}})", R"(data: {"content":"\"usage\":null"})",
        R"(data: {"content":"usage"})", R"(data: {"usage")", R"("usage":null)", R"(data: "usage")"})
    CHECK(without_usage(same) == same);
}

TEST_CASE("a line of any length passes, and little of it is kept", "[gateway]") {
  sse_lines lines;
  std::string out, text = R"(data: {"usage":null,"x":")" + std::string(1 << 20, 'x') + R"(","usage":null})";
  std::size_t most = 0, total = 0;
  auto take = [&](std::string_view piece) {
    out.clear();
    lines.feed(piece, out);
    most = std::max(most, out.size());
    total += out.size();
  };
  for (std::size_t at = 0; at < text.size(); at += 10'000)
    take(std::string_view{text}.substr(at, 10'000));
  take("\n");
  CHECK(most < 2 * sse_lines::held_bytes);
  CHECK(total == text.size() - 2 * std::string_view{R"("usage":null,)"}.size() + 2);
  CHECK(lines.events() == 1);
}

TEST_CASE("a stream that breaks within a line leaves no half of it", "[gateway]") {
  sse_lines lines;
  std::string out;
  lines.feed("data: {\"half", out);
  lines.break_off(out);
  CHECK(out.empty());
  lines.feed("data: " + std::string(100'000, 'x'), out);
  lines.break_off(out);
  CHECK(out.ends_with("x\n\n"));
  out.clear();
  lines.feed("data: 2\n\n", out);
  CHECK(out == "data: 2\n\n");
}

TEST_CASE("how many tokens were used is remembered", "[gateway]") {
  sse_lines lines;
  std::string out;
  lines.feed("data: {\"usage\":{\"prompt_tokens\":3}}\n\ndata: {}\n\n", out);
  CHECK(json::parse(lines.usage_line())["usage"]["prompt_tokens"] == 3);
}

TEST_CASE("whatever comes in whatever pieces, the same lines go out", "[gateway]") {
  std::mt19937 random{20260102};
  const std::string_view words[]{"data: ",
                                 ":",
                                 "\n",
                                 "\r\n",
                                 "\r",
                                 "x",
                                 "data:",
                                 "\"usage\":null",
                                 "{",
                                 ",",
                                 "[DONE]",
                                 "\"usage\":",
                                 " ",
                                 "event: y",
                                 std::string_view{"\0", 1},
                                 "\xff"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto count = random() % 40; count > 0; --count)
      text.append(words[random() % std::size(words)]);
    if (round % 50 == 0)
      text.insert(random() % (text.size() + 1), std::string(70'000, 'y'));
    auto whole = passed(text, text.size() + 1);
    CHECK((whole.empty() || whole.ends_with("\n\n")));
    CHECK(whole.find("\n\n\n") == std::string::npos);
    sse_lines lines;
    std::string pieces;
    for (std::string_view rest = text; !rest.empty();) {
      auto size = std::min<std::size_t>(1 + random() % (round % 50 == 0 ? 30'000 : 9), rest.size());
      lines.feed(rest.substr(0, size), pieces);
      rest.remove_prefix(size);
    }
    lines.finish(pieces);
    if (round % 50 != 0) // of a long line, what is left out depends on where it was cut
      CHECK(pieces == whole);
    std::size_t lines_seen = 0;
    sse_payloads payloads;
    CHECK(payloads.feed(whole, [&](std::string_view) { ++lines_seen; }));
    CHECK(lines_seen == lines.events());
  }
}

TEST_CASE("what is ours is taken out of a chat, and what is empty", "[gateway]") {
  json problems;
  auto read = read_chat(
      R"({"model":"m","messages":[{"role":"assistant","content":null,"name":null}],"competitorId":"c",
    "tools":[{"function":{"parameters":{"enum":[null]}}}],"user":null,"temperature":"0.5","max_tokens":"7","stream":"true","x":{"y":null}})",
      problems);
  REQUIRE(read);
  CHECK(read->competitor == "c");
  CHECK(read->stream);
  CHECK(
      read->body ==
      json::parse(
          R"({"model":"m","messages":[{"role":"assistant"}],"tools":[{"function":{"parameters":{"enum":[null]}}}],
    "temperature":0.5,"max_tokens":7,"stream":true,"x":{"y":null}})"));
}

TEST_CASE("a chat that needs no change is forwarded as it came", "[gateway]") {
  auto text_of = [](std::string text) {
    json problems;
    auto read = read_chat(std::move(text), problems);
    REQUIRE(read);
    return read->text;
  };
  const std::string plain =
      R"({ "model":"m", "messages":[{"role":"user","content":"a \"b\" {,:"}],"temperature":5e-1 })";
  CHECK(text_of(plain) == plain);
  for (const char* changed :
       {R"({"model":"m","messages":[{"role":"user"}],"user":null})",
        R"({"model":"m","messages":[{"role":"user","name":null}]})",
        R"({"model":"m","messages":[{"role":"user"}],"competitor_id":"c"})",
        R"({"model":"m","messages":[{"role":"user"}],"max_tokens":"7"})",
        R"({"model":"m","messages":[{"role":"user"}],"stream":"true"})",
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"content":"x"}}]}]})",
        R"({"model":"other","messages":[{"role":"user"}],"model":"m"})"})
    CHECK(text_of(changed).empty());
}

TEST_CASE("a whole answer gets our id, and nothing else of it changes", "[gateway]") {
  auto answer = read_answer(
      R"( { "id" : "theirs", "choices":[{"id":"c","message":{"content":"a \"id\": {["}}], "usage" : {"prompt_tokens":3,"completion_tokens":4}, "x":[], "id":7} )",
      "ours");
  REQUIRE(answer);
  CHECK(
      answer->text ==
      R"({"id":"ours","choices":[{"id":"c","message":{"content":"a \"id\": {["}}],"usage":{"prompt_tokens":3,"completion_tokens":4},"x":[]})");
  CHECK(answer->used.prompt == 3);
  CHECK(answer->used.completion == 4);
  CHECK(read_answer("{}", "ours")->text == R"({"id":"ours"})");
  CHECK(read_answer(R"({"usage":null,"a":1})", "ours")->text == R"({"id":"ours","a":1})");
  const auto deep = R"({"a":)" + std::string(300'000, '[') + std::string(300'000, ']') + "}";
  CHECK(read_answer(deep, "ours")->text.size() == deep.size() + std::string_view{R"("id":"ours",)"}.size());
  for (const char* wrong : {"", "[]", "7", "{", R"({"a":1}x)", R"({"a":"\xff"})", "null"})
    CHECK_FALSE(read_answer(wrong, "ours"));
  CHECK_FALSE(read_answer(std::string{"{}\0{}", 5}, "ours"));
}

TEST_CASE("files become text, as much of it as models take", "[gateway]") {
  auto text_of = [](json file) {
    json problems;
    json body{
        {"model", "m"},
        {"messages", {{{"role", "user"}, {"content", {{{"type", "file"}, {"file", std::move(file)}}}}}}}};
    auto read = understand_chat(std::move(body), problems);
    REQUIRE(read);
    return read->body["messages"][0]["content"][0];
  };
  CHECK(text_of({{"name", "a.csv"}, {"mime_type", "text/csv"}, {"content", "1,2"}})["text"] ==
        "--- File: a.csv (text/csv) ---\n1,2\n--- End of file: a.csv ---");
  CHECK(text_of({{"name", "a"}, {"content", "data:text/plain;base64,aGk="}})["text"] ==
        "--- File: a ---\nhi\n--- End of file: a ---");
  CHECK(text_of({{"name", "a"}, {"content", "data:image/png;base64,/w=="}})["text"].get<std::string>().find(
            "no text") != std::string::npos);
  std::string umlauts;
  for (int i = 0; i < 100'001; ++i)
    umlauts += "ü";
  auto cut = text_of({{"name", "a"}, {"content", umlauts}})["text"].get<std::string>();
  CHECK(cut.size() == std::string_view{"--- File: a ---\n\n--- End of file: a ---"}.size() + 200'000);
  CHECK(text_of({{"file_id", "file-1"}}) == json{{"type", "file"}, {"file", {{"file_id", "file-1"}}}});
}

TEST_CASE("images are named by a text or by an object with one", "[gateway]") {
  for (const auto* image : {R"("https://x/1.png")", R"({"url":"https://x/1.png","detail":"low"})"}) {
    json problems;
    CHECK(read_chat(
        std::string{
            R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":)"} +
            image + "}]}]}",
        problems));
  }
}

TEST_CASE("of an agent's reasoning a beginning is kept, in whole characters", "[gateway]") {
  std::string kept(most_reasoning - 3, 'x');
  keep_reasoning(kept, "aüü");
  CHECK(kept.size() == most_reasoning);
  CHECK(kept.ends_with("xaü"));
  keep_reasoning(kept, "more");
  CHECK(kept.size() == most_reasoning);
  kept.resize(most_reasoning - 1);
  keep_reasoning(kept, "üü");
  CHECK(kept.size() == most_reasoning - 1);
}

TEST_CASE("every mistake of a chat is found", "[gateway]") {
  struct {
    const char* text;
    const char* where;
  } cases[]{
      {R"({"messages":[{"role":"user","content":"x"}]})", R"(["body","model"])"},
      {R"({"model":7,"messages":[{"role":"user"}]})", R"(["body","model"])"},
      {R"({"model":"m"})", R"(["body","messages"])"},
      {R"({"model":"m","messages":"x"})", R"(["body","messages"])"},
      {R"({"model":"m","messages":[]})", R"(["body","messages"])"},
      {R"({"model":"m","messages":[7]})", R"(["body","messages",0])"},
      {R"({"model":"m","messages":[{}]})", R"(["body","messages",0,"role"])"},
      {R"({"model":"m","messages":[{"role":"user","content":7}]})", R"(["body","messages",0,"content"])"},
      {R"({"model":"m","messages":[{"role":"user","content":[7]}]})", R"(["body","messages",0,"content",0])"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]})",
       R"(["body","messages",0,"content",0])"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
       R"(["body","messages",0,"content",0])"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":7}]}]})",
       R"(["body","messages",0,"content",0])"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]})",
       R"(["body","messages",0,"content",0])"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":7}}]}]})",
       R"(["body","messages",0,"content",0])"},
      {R"({"model":"m","messages":[{"role":"user"}],"temperature":-1})", R"(["body","temperature"])"},
      {R"({"model":"m","messages":[{"role":"user"}],"top_p":2})", R"(["body","top_p"])"},
      {R"({"model":"m","messages":[{"role":"user"}],"max_tokens":1.5})", R"(["body","max_tokens"])"},
      {R"({"model":"m","messages":[{"role":"user"}],"tools":{}})", R"(["body","tools"])"},
      {R"({"model":"m","messages":[{"role":"user"}],"metadata":1})", R"(["body","metadata"])"}};
  for (const auto& each : cases) {
    INFO(each.text);
    json problems;
    auto read = read_chat(each.text, problems);
    REQUIRE_FALSE(read);
    CHECK(code_of(read.error()) == errc::validation_failed);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0]["loc"] == json::parse(each.where));
  }
}

TEST_CASE("a competitor is insisted on, a model is a wish", "[gateway]") {
  metrics::registry counted{"1", {}};
  class gateway models{{.models = {named("one", {"uno", "two"}), named("two")}, .default_model = "uno"},
                       counted.gateway()};
  CHECK(models.route(asks("two"))->id == "two"); // an alias takes nobody's name
  CHECK(models.route(asks("uno"))->id == "one");
  CHECK(models.route(asks("three"))->id == "one");
  CHECK(models.route(asks("two", "uno"))->id == "one");
  CHECK(models.route(asks("two", "three")) == nullptr);
  class gateway none{{}, counted.gateway()};
  CHECK(none.route(asks("one")) == nullptr);
}

TEST_CASE("addresses of models are understood as operators write them", "[gateway]") {
  CHECK(with_scheme("https://a") == "https://a");
  CHECK(with_scheme("127.0.0.1") == "http://127.0.0.1");
  CHECK(with_scheme("10.1.2.3/v1") == "http://10.1.2.3/v1");
  CHECK(with_scheme("models:8080") == "http://models:8080");
  CHECK(with_scheme("localhost") == "http://localhost");
  CHECK(with_scheme("models.example") == "https://models.example");
  for (const auto* path : {"/", "/v1", "/v1/", "/v1/chat/completions"})
    CHECK(chat_path(path) == "/v1/chat/completions");
  CHECK(chat_path("/janus") == "/janus/v1/chat/completions");
  CHECK_FALSE(url_backend::make("http://a?b", ""));
  CHECK_FALSE(url_backend::make("http://a", "two words"));
}

TEST_CASE("artifacts are found by their owner, for a while, and the oldest give way", "[gateway]") {
  artifact_store store{{.count = 3, .bytes = 100, .each_bytes = 60, .ttl = std::chrono::seconds{3600}}};
  const tenant_id mine{"mine"}, yours{"yours"};
  auto first = store.add(mine, "a.png", "", "bytes");
  REQUIRE(first);
  CHECK(store.find(mine, (*first)->id) == *first);
  CHECK(store.find(yours, (*first)->id) == nullptr);
  CHECK(store.find(mine, "artf_000000000000") == nullptr);
  CHECK_FALSE(store.add(mine, "big", "", std::string(61, 'x')));
  CHECK(store.add(mine, "b", "", std::string(60, 'x')));
  CHECK(store.add(mine, "c", "", std::string(40, 'x')));
  CHECK(store.find(mine, (*first)->id) == nullptr);
  CHECK(store.bytes() == 100);
  artifact_store gone{{.ttl = std::chrono::seconds{0}}};
  CHECK(gone.find(mine, (*gone.add(mine, "a", "", "x"))->id) == nullptr);
}

TEST_CASE("a descriptor tells what clients need", "[gateway]") {
  artifact_store store{{}};
  auto text = descriptor(**store.add(tenant_id{"t"}, "a.txt", "", "hi"), {});
  CHECK(text["url"] == "data:text/plain;base64,aGk=");
  CHECK((text["type"] == "file" && text["size_bytes"] == 2 && text["ttl_seconds"] == 3600));
  CHECK(text["sha256"] == "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4");
  CHECK(text["id"].get<std::string>().size() == 17);
  auto image = descriptor(**store.add(tenant_id{"t"}, "a.png", "", "hi"), "http://x/1");
  CHECK((image["type"] == "image" && image["url"] == "http://x/1"));
}

TEST_CASE("a duel has one vote, neither too soon nor too late nor too often", "[gateway]") {
  using namespace std::chrono_literals;
  arena_book book;
  const auto start = arena_book::clock::now();
  auto cast = [&](const std::string& id, arena_book::clock::duration after, unix_millis session = 0) {
    return book.close({id, "A", "somebody", session}, start + after, 10'000'000);
  };
  for (int i = 0; i < 60; ++i)
    book.open("p" + std::to_string(i), {"one", "two", "hash"}, start);
  CHECK(code_of(cast("q", 10s).error()) == errc::file_not_found);
  CHECK(code_of(cast("p0", 4s).error()) == errc::invalid_argument);
  CHECK(code_of(cast("p0", 10s, 9'000'000).error()) == errc::forbidden);
  auto counted = cast("p0", 10s, 1'000'000);
  REQUIRE(counted);
  CHECK((counted->model_a == "one" && counted->model_b == "two"));
  CHECK(code_of(cast("p0", 11s).error()) == errc::conflict);
  for (int i = 1; i < 50; ++i)
    CHECK(cast("p" + std::to_string(i), 12s));
  CHECK(code_of(cast("p50", 13s).error()) == errc::rate_limited);
  book.reopen({"p49", "A", "somebody"}); // it could not be passed on
  CHECK(cast("p49", 13s));
  CHECK(code_of(cast("p49", 13s).error()) == errc::conflict);
  CHECK(code_of(cast("p50", 13s).error()) == errc::rate_limited); // it counts once
  CHECK(code_of(cast("p50", 61min).error()) == errc::file_not_found);
  book.reopen({"p49", "A", "somebody"}); // of one that is forgotten
  CHECK(prompt_hash(" Hello \n World ") == prompt_hash("hello world"));
}
