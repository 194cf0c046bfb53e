#include "http/routes_support.hpp"

#include "http/codec/base64.hpp"
#include "http/routes/process_events.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr auto out = output_stream::standard_output;
constexpr auto err = output_stream::standard_error;

struct event {
  std::string name;
  json data;
  std::string id;
};

/// The events of a stream, comments left out.
std::vector<event> events_of(std::string_view text) {
  std::vector<event> all;
  while (!text.empty()) {
    auto end = text.find("\n\n");
    REQUIRE(end != std::string_view::npos);
    auto lines = text.substr(0, end + 1);
    text.remove_prefix(end + 2);
    if (lines.starts_with(':'))
      continue;
    event each;
    while (!lines.empty()) {
      auto line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(line.size() + 1);
      auto colon = line.find(": ");
      auto name = line.substr(0, colon);
      auto value = std::string{line.substr(colon + 2)};
      if (name == "event")
        each.name = value;
      else if (name == "data")
        each.data = json::parse(value);
      else if (name == "id")
        each.id = value;
    }
    all.push_back(each);
  }
  return all;
}

/// The bytes that an event carries.
std::string bytes_of(const event& each) {
  return each.data.contains("text") ? each.data["text"].get<std::string>()
                                    : *http::codec::base64_decode(each.data["base64"].get<std::string>());
}

} // namespace

TEST_CASE_METHOD(stage, "exec answers output and exit code in both spellings", "[routes]") {
  io->events = {output_chunk{out, 0, "a\xff"}, output_chunk{err, 2, "b"}, output_chunk{out, 3, "c"},
                process_exit{3, 0, false, 12, 4}};
  auto body =
      call("POST", of_living("/exec"), R"({"command":"x","timeout":5,"cwd":"d","env":{"A":1}})").json();
  CHECK(body["stdout"] == "a\xef\xbf\xbd"
                          "c");
  CHECK(body["stderr"] == "b");
  CHECK((body["exitCode"] == 3 && body["exit_code"] == 3 && body["durationMs"] == 12));
  CHECK((body["timedOut"] == false && body["truncated"] == false));
  CHECK((io->started.script == "x" && io->started.timeout == 5s && io->started.cwd == "d"));
  CHECK_FALSE(io->started.kill_on_disconnect);
  CHECK(io->streams_open == 0);
}

TEST_CASE_METHOD(stage, "a timeout is 200 with code 124 and the sentence clients look for", "[routes]") {
  io->events = {output_chunk{out, 0, "part"}, process_exit{124, 0, true, 1000, 4}};
  auto body = call("POST", of_living("/exec"), R"({"command":"x"})").json();
  CHECK((body["exitCode"] == 124 && body["stdout"] == "part" && body["stderr"] == "Command timed out"));
  io->events = {output_chunk{err, 0, "warning"}, process_exit{124, 0, true, 1000, 7}};
  CHECK(call("POST", of_living("/exec"), R"({"command":"x"})").json()["stderr"] ==
        "warning\nCommand timed out");
}

TEST_CASE_METHOD(stage, "output beyond the bound is cut, and the answer says how much", "[routes]") {
  context->limits.exec_output_bytes = 5;
  io->events = {output_chunk{out, 0, "abc"}, output_chunk{out, 3, "defg"}, output_chunk{out, 7, "hij"},
                output_chunk{err, 10, "12345"}, process_exit{}};
  auto body = call("POST", of_living("/exec"), R"({"command":"x"})").json();
  CHECK((body["stdout"] == "abcde" && body["stderr"] == "12345"));
  CHECK(
      (body["truncated"] == true && body["stdoutTruncatedBytes"] == 5 && body["stderrTruncatedBytes"] == 0));
}

TEST_CASE_METHOD(stage, "a large answer is sent in pieces, and is one JSON object", "[routes]") {
  std::string text;
  while (text.size() < 1'000'000)
    text += "line \"\\\x01 \xc3\xbc\n";
  io->events = {output_chunk{out, 0, text}, output_chunk{err, 0, text}, process_exit{}};
  auto& ex = call("POST", of_living("/exec"), R"({"command":"x"})");
  CHECK(ex.ended);
  CHECK((ex.json()["stdout"] == text && ex.json()["stderr"] == text && ex.json()["exitCode"] == 0));
  CHECK(ex.largest_write < 512 * 1024);
}

TEST_CASE_METHOD(stage, "a sandbox that ends under a command is an error that says why", "[routes]") {
  io->events = {output_chunk{out, 0, "abc"}, fail(errc::sandbox_ended, "sandbox expired")};
  auto& ex = call("POST", of_living("/exec"), R"({"command":"x"})");
  CHECK((ex.status == 404 && ex.json()["detail"] == "sandbox expired"));
}

TEST_CASE_METHOD(stage, "a command that cannot start says why, and does not look like a lost sandbox",
                 "[routes]") {
  for (std::string form : {"", R"(,"stream":true)", R"(,"background":true)"}) {
    for (auto code : {errc::file_not_found, errc::not_a_directory, errc::permission_denied}) {
      io->start_error = fail(code, "No such directory: /no/such");
      auto& ex = call("POST", of_living("/exec"), "{\"command\":\"x\"" + form + "}");
      CHECK(ex.status == 400);
      CHECK(ex.json()["error"]["code"] == to_string(code));
    }
    io->start_error = fail(errc::limit_reached, "Too many processes");
    CHECK(call("POST", of_living("/exec"), "{\"command\":\"x\"" + form + "}").status == 409);
  }
}

TEST_CASE_METHOD(stage, "a sandbox that does not answer does not hold a request for ever", "[routes]") {
  context->limits.control_timeout = 20ms;
  io->stuck = true;
  CHECK(call("GET", of_living("/processes")).status == 504);
  CHECK(call("GET", of_living("/processes/7")).status == 504);
  CHECK(call("GET", of_living("/processes/7/output")).status == 504);
  CHECK(call("POST", of_living("/exec"), R"({"command":"x","background":true})").status == 504);
}

TEST_CASE_METHOD(stage, "a stream is asked for by field or by header, and ends with one exit", "[routes]") {
  io->events = {output_chunk{out, 0, "a\n"}, output_chunk{err, 2, "b"}, process_exit{4, 0, false, 1, 3}};
  for (auto [body, accept] :
       {std::pair{R"({"command":"x","stream":true})", "*/*"}, {R"({"command":"x"})", "text/event-stream"}}) {
    auto& ex = call("POST", of_living("/exec"), body, {{"accept", accept}});
    CHECK((ex.status == 200 && ex.ended && ex.type.starts_with("text/event-stream")));
    CHECK(ex.sent_header("Cache-Control") == "no-cache");
    auto events = events_of(ex.sent);
    REQUIRE(events.size() == 3);
    CHECK((events[0].name == "stdout" && events[0].data == json{{"offset", 0}, {"text", "a\n"}} &&
           events[0].id == "2"));
    CHECK((events[1].name == "stderr" && events[1].data == json{{"offset", 2}, {"text", "b"}} &&
           events[1].id == "3"));
    CHECK((events[2].name == "exit" && events[2].data["exitCode"] == 4));
    CHECK(io->started.kill_on_disconnect);
  }
}

TEST_CASE_METHOD(stage, "a stream whose sandbox ends has one error, and it is true", "[routes]") {
  io->events = {output_chunk{out, 0, "a\xc3"}, fail(errc::sandbox_ended, "sandbox terminated")};
  auto& ex = call("POST", of_living("/exec"), R"({"command":"x","stream":true})");
  auto events = events_of(ex.sent);
  REQUIRE(events.size() == 3);
  CHECK((bytes_of(events[0]) == "a" && bytes_of(events[1]) == "\xc3"));
  CHECK((events[2].name == "error" && events[2].data["detail"] == "sandbox terminated"));
  CHECK(ex.ended);
}

TEST_CASE_METHOD(stage, "hanging up, or taking nothing more, ends the stream and its command", "[routes]") {
  SECTION("while it is silent") {
    auto& ex = request("POST", of_living("/exec"), R"({"command":"x","stream":true})");
    io->events = {output_chunk{out, 0, "a"}};
    io->on_silence = [&] { ex.leave(); };
    run();
    CHECK_FALSE(ex.ended);
  }
  SECTION("while it writes") {
    auto& ex = request("POST", of_living("/exec"), R"({"command":"x","stream":true})");
    io->events.assign(1000, output_chunk{out, 0, std::string(1000, 'x')});
    ex.takes = 100'000;
    run();
    CHECK_FALSE(ex.ended);
    CHECK(ex.largest_write < 256 * 1024);
  }
  CHECK(io->streams_open == 0);
}

TEST_CASE("bytes of a stream are exact, however they are cut", "[routes]") {
  std::mt19937 random{7};
  const std::string text = "gr\xc3\xbc\xc3\x9f"
                           "e \xe2\x82\xac \xf0\x9f\x98\x80 plain \xff\xfe\xc3 end";
  for (int round = 0; round < 500; ++round) {
    std::string sent[2];
    std::string got[2];
    std::uint64_t offset = 0;
    std::string wire;
    http::routes::process_event_text format;
    while (offset < 300) {
      auto stream = random() % 4 == 0 ? err : out;
      auto& source = sent[stream == err];
      auto chunk = (text + text).substr(source.size() % text.size(), 1 + random() % 5);
      format.add(wire, output_chunk{stream, offset, chunk});
      if (random() % 20 == 0)
        format.flush(wire);
      source += chunk;
      offset += chunk.size();
    }
    CHECK(format.add(wire, process_exit{}));
    std::uint64_t next = 0;
    for (const auto& each : events_of(wire)) {
      if (each.name == "exit")
        break;
      auto bytes = bytes_of(each);
      CHECK(each.data["offset"] == next);
      next += bytes.size();
      CHECK(each.id == std::to_string(next));
      got[each.name == "stderr"] += bytes;
    }
    CHECK((got[0] == sent[0] && got[1] == sent[1] && next == offset));
  }
}

TEST_CASE("a character that is cut stays text", "[routes]") {
  std::string wire;
  http::routes::process_event_text format;
  format.add(wire, output_chunk{out, 0, "gr\xc3"});
  format.add(wire, output_chunk{out, 3, "\xbc\xf0\x9f"});
  format.add(wire, output_chunk{out, 6, "\x98\x80"});
  format.add(wire, process_exit{});
  auto events = events_of(wire);
  REQUIRE(events.size() == 4);
  CHECK((events[0].data["text"] == "gr" && events[1].data["text"] == "\xc3\xbc" &&
         events[2].data["text"] == "\xf0\x9f\x98\x80"));
  CHECK((events[0].id == "2" && events[1].data["offset"] == 2 && events[2].data["offset"] == 4));
}

TEST_CASE_METHOD(stage, "a background process is answered at once", "[routes]") {
  auto& ex = call("POST", of_living("/exec"), R"({"command":"serve","background":true,"stdin":true})");
  CHECK((ex.status == 200 && ex.json()["pid"] == 7 && ex.json()["status"] == "running"));
  CHECK((io->started.open_stdin && io->started.timeout == 0ms));
  CHECK(call("GET", of_living("/processes")).json()["processes"].size() == 1);
  CHECK(call("GET", of_living("/processes/7")).json()["command"] == "serve");
}

TEST_CASE_METHOD(stage, "an unknown process is not found on any of its routes", "[routes]") {
  for (std::string number : {"8", "0", "-1", "abc", "99999999999999999999"}) {
    for (std::string rest : {"", "/output"})
      CHECK(call("GET", of_living("/processes/" + number + rest)).json()["error"]["code"] ==
            "process_not_found");
    CHECK(call("POST", of_living("/processes/" + number + "/signal"), R"({"signal":9})").status == 404);
  }
}

TEST_CASE_METHOD(stage, "output begins at the offset, or behind the last event seen", "[routes]") {
  io->events = {output_gap{0, 10}, output_chunk{out, 10, "x"}, process_exit{}};
  auto events = events_of(call("GET", of_living("/processes/7/output?offset=4&follow=0")).sent);
  CHECK((io->output_from == 4 && !io->output_followed));
  REQUIRE(events.size() == 3);
  CHECK((events[0].name == "gap" && events[0].data == json{{"from", 0}, {"to", 10}} && events[0].id == "10"));
  call("GET", of_living("/processes/7/output?offset=4"), {}, {{"Last-Event-ID", "9"}});
  CHECK((io->output_from == 9 && io->output_followed));
  CHECK(call("GET", of_living("/processes/7/output?offset=-1")).status == 400);
  CHECK(call("GET", of_living("/processes/7/output?follow=maybe")).status == 400);
  io->events = {still_running{}};
  CHECK(events_of(call("GET", of_living("/processes/7/output?follow=0")).sent).back().name == "running");
}

TEST_CASE_METHOD(stage, "standard input takes JSON and bytes", "[routes]") {
  CHECK(call("POST", of_living("/processes/7/stdin"), R"({"data":"b25l","encoding":"base64"})")
            .json()["written"] == 3);
  CHECK_FALSE(io->input_closed);
  auto& ex = request("POST", of_living("/processes/7/stdin?close=1"), {},
                     {{"Content-Type", "application/octet-stream"}});
  ex.pieces = {"two", "three"};
  run();
  CHECK((ex.json()["written"] == 8 && io->input == "onetwothree" && io->input_closed));
  CHECK(call("POST", of_living("/processes/7/stdin"), "{}").status == 422);
}

TEST_CASE_METHOD(stage, "signals reach the tree unless told otherwise", "[routes]") {
  CHECK(call("POST", of_living("/processes/7/signal"), R"({"signal":"SIGTERM"})").status == 200);
  CHECK(io->signalled == 15);
  CHECK(call("POST", of_living("/processes/7/signal"), R"({"signal":2,"tree":false})").status == 200);
  CHECK(io->signalled == -2);
  CHECK(call("POST", of_living("/processes/7/signal"), R"({"signal":"NOPE"})").status == 400);
}

TEST_CASE_METHOD(stage, "input for a process that never reads ends with its client", "[routes]") {
  auto& ex = request("POST", of_living("/processes/7/stdin"), R"({"data":"x"})");
  io->stuck_input = true;
  io->on_silence = [&] { ex.leave(); };
  context->limits.departure_grace = 20ms;
  run();
  CHECK(ex.json()["error"]["code"] == "cancelled");
}
