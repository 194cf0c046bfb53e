// Terminals: what a viewer's WebSocket says and hears, over a sandbox in memory.

#include "http/auth.hpp"
#include "http/routes_support.hpp"
#include "http/terminal/request.hpp"
#include "http/websocket.hpp"
#include "http/websocket_client.hpp"

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <thread>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr auto out = output_stream::standard_output;

http::header_list handshake(http::header_list more = {}) {
  http::header_list headers{{"Host", "sandy.test"},
                            {"Connection", "keep-alive, Upgrade"},
                            {"Upgrade", "websocket"},
                            {"Sec-WebSocket-Version", "13"},
                            {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  for (auto& [name, value] : more) {
    std::erase_if(headers, [&](const auto& each) { return each.first == name; });
    headers.emplace_back(name, value);
  }
  return headers;
}

/// A viewer of a terminal, and the handler that serves it on another thread.
class viewing {
public:
  viewing(stage& on, std::string query, http::header_list more = {})
      : stage_(on)
      , exchange(on.request("GET", stage::of_living("/terminal" + query), {}, handshake(std::move(more))))
      , client(exchange.connect())
      , serving_([this] { stage_.run(); }) {}
  ~viewing() {
    client.hang_up();
    end();
  }
  /// Waits until the handler has returned.
  void end() {
    if (serving_.joinable())
      serving_.join();
  }
  json receive_json() {
    auto message = client.receive_message();
    return message && message->opcode == 1 ? json::parse(message->bytes, nullptr, false) : json{};
  }

private:
  stage& stage_;

public:
  memory_exchange& exchange;
  websocket_client client;

private:
  std::thread serving_;
};

} // namespace

TEST_CASE_METHOD(stage, "a viewer sees what a terminal prints, what it missed, and how it ended",
                 "[terminal]") {
  io->events = {output_chunk{out, 0, std::string("a\0\xff", 3)}, output_gap{3, 10},
                output_chunk{out, 10, "b"}, process_exit{3, 0, false, 5, 11}};
  viewing one{
      *this, "?command=top&cols=100&rows=30&cwd=/srv", {{"Sec-WebSocket-Protocol", "x, sandy.terminal"}}};
  auto head = one.client.head();
  CHECK(head.starts_with("HTTP/1.1 101"));
  CHECK(head.find("Sec-WebSocket-Protocol: sandy.terminal\r\n") != std::string::npos);
  CHECK(head.find("X-Request-Id: r1\r\n") != std::string::npos);
  CHECK(one.receive_json() ==
        json{{"type", "ready"}, {"id", 7}, {"offset", 0}, {"cols", 100}, {"rows", 30}, {"readonly", false}});
  auto first = one.client.receive_message();
  CHECK((first && first->opcode == 2 && first->bytes == std::string("a\0\xff", 3)));
  CHECK(one.receive_json() == json{{"type", "missed"}, {"bytes", 7}, {"offset", 10}});
  CHECK(one.client.receive_message()->bytes == "b");
  auto exit = one.receive_json();
  CHECK((exit["type"] == "exit" && exit["exitCode"] == 3));
  CHECK(one.client.receive_message()->close_code() == 1000);
  one.client.hang_up();
  one.end();
  CHECK(io->streams_open == 0);
  CHECK((io->started.script == "top" && io->started.cwd == "/srv" && io->started.terminal->columns == 100));
  CHECK(io->started.env == environment{{"TERM", "xterm-256color"}});
  CHECK((io->output_from == 0 && io->output_followed));
}

TEST_CASE_METHOD(stage, "a viewer types and changes the size; what it said before it left arrives",
                 "[terminal]") {
  viewing one{*this, ""};
  CHECK(one.client.head().starts_with("HTTP/1.1 101"));
  CHECK(one.receive_json()["type"] == "ready");
  one.client.binary("ls\n");
  one.client.text(R"({"type":"resize","cols":120,"rows":"40"})");
  one.client.text(R"({"type":"input","data":"gr\u00fc\u00dfe"})");
  one.client.binary(std::string(200'000, 'x'));
  one.client.send(8, "\x03\xe8");
  CHECK(one.client.receive_message()->close_code() == 1000);
  one.client.hang_up();
  one.end();
  CHECK(io->input == "ls\ngrüße" + std::string(200'000, 'x'));
  CHECK_FALSE(io->input_closed);
  REQUIRE(io->terminal);
  CHECK((io->terminal->columns == 120 && io->terminal->rows == 40));
  CHECK((io->started.script.empty() && io->started.argv.empty())); // the user's shell
}

TEST_CASE_METHOD(stage, "who may only look cannot type", "[terminal]") {
  io->started.terminal = terminal_size{};
  viewing one{*this, "?id=7&readonly=1&cols=200"};
  CHECK(one.client.head().starts_with("HTTP/1.1 101"));
  auto ready = one.receive_json();
  CHECK((ready["readonly"] == true && ready["cols"] == 80));
  one.client.binary("rm\n");
  one.client.text(R"({"type":"input","data":"rm"})");
  one.client.text(R"({"type":"resize","cols":1,"rows":1})");
  one.client.send(8, "\x03\xe8");
  CHECK(one.client.receive_message()->close_code() == 1000);
  one.client.hang_up();
  one.end();
  CHECK(io->input.empty());
  CHECK_FALSE(io->terminal);
}

TEST_CASE_METHOD(stage, "a terminal whose sandbox ends says so", "[terminal]") {
  io->events = {fail(errc::sandbox_ended, "sandbox terminated")};
  viewing one{*this, ""};
  one.client.head();
  CHECK(one.receive_json()["type"] == "ready");
  CHECK(one.receive_json() ==
        json{{"type", "error"}, {"code", "sandbox_ended"}, {"message", "sandbox terminated"}});
  CHECK(one.client.receive_message()->close_code() == 1001);
}

TEST_CASE_METHOD(stage, "a message that cannot be used ends its viewer, with the reason", "[terminal]") {
  auto [bytes, code] =
      GENERATE(table<std::string, int>({{"{", 1008},
                                        {"[]", 1008},
                                        {R"({"type":"dance"})", 1008},
                                        {R"({"type":"resize","cols":80})", 1008},
                                        {R"({"type":"resize","cols":0,"rows":24})", 1008},
                                        {R"({"type":"resize","cols":80,"rows":70000})", 1008},
                                        {R"({"type":"input","data":5})", 1008},
                                        {"\xff", 1007},
                                        {std::string(300'000, ' '), 1009}}));
  viewing one{*this, ""};
  one.client.head();
  CHECK(one.receive_json()["type"] == "ready");
  one.client.text(bytes);
  auto last = one.client.receive_message();
  REQUIRE(last);
  CHECK(last->close_code() == code);
}

TEST_CASE_METHOD(stage, "bytes that are no WebSocket end their viewer and nothing else", "[terminal]") {
  std::mt19937 random{11};
  for (int round = 0; round < 100; ++round) {
    viewing one{*this, ""};
    CHECK(one.client.head().starts_with("HTTP/1.1 101"));
    std::string bytes(1 + random() % 200, '\0');
    for (auto& each : bytes)
      each = static_cast<char>(random());
    one.client.send_raw(bytes);
  }
  CHECK(io->streams_open == 0);
}

TEST_CASE_METHOD(stage, "what is no handshake gets an answer that it can read", "[terminal]") {
  auto status = [this](std::string query, http::header_list headers) {
    return call("GET", of_living("/terminal" + query), {}, std::move(headers)).status;
  };
  auto& plain = call("GET", of_living("/terminal"));
  CHECK(plain.status == 426);
  CHECK(plain.sent_header("Upgrade") == "websocket");
  CHECK(status("", handshake({{"Sec-WebSocket-Version", "8"}})) == 426);
  CHECK(status("", handshake({{"Connection", "close"}})) == 426);
  CHECK(status("", handshake({{"Sec-WebSocket-Key", ""}})) == 400);
  CHECK(status("?cols=0", handshake()) == 400);
  CHECK(status("?rows=5000", handshake()) == 400);
  CHECK(status("?offset=x", handshake()) == 400);
  CHECK(status("?readonly=maybe", handshake()) == 400);
  CHECK(status("?id=7&command=ls", handshake()) == 400);
  CHECK(status("?id=x", handshake()) == 404);
  CHECK(status("?id=8", handshake()) == 404);
  CHECK(status("?id=7", handshake()) == 409); // it has no terminal
  io->started.terminal = terminal_size{};
  CHECK(status("?id=7&offset=1", handshake()) == 400);
  script.paused = true;
  CHECK(status("", handshake()) == 409);
  CHECK(call("GET", "/api/sandboxes/0123456789abcdef/terminal", {}, handshake()).status == 404);
}

TEST_CASE_METHOD(stage, "a terminal that cannot start says why, before anything is upgraded", "[terminal]") {
  io->start_error = fail(errc::file_not_found, "The working directory does not exist: /x");
  auto& ex = call("GET", of_living("/terminal?cwd=/x"), {}, handshake());
  CHECK((ex.status == 400 && ex.json()["detail"] == "The working directory does not exist: /x"));
}

TEST_CASE_METHOD(stage, "pages of other origins are let in as the server's setting says", "[terminal]") {
  auto refused = [this](const char* origin) {
    return call("GET", of_living("/terminal?cols=1"), {}, handshake({{"Origin", origin}})).status == 403;
  };
  context->cors_origins = {"https://app.test"};
  CHECK(refused("https://evil.test"));
  CHECK(refused("null"));
  CHECK(http::origin_allowed("https://app.test", context->cors_origins, "sandy.test"));
  CHECK(http::origin_allowed("http://sandy.test", context->cors_origins, "sandy.test"));
  CHECK(http::origin_allowed("", context->cors_origins, "sandy.test"));
  CHECK_FALSE(http::origin_allowed("http://sandy.test.evil", context->cors_origins, "sandy.test"));
  CHECK(http::origin_allowed("https://evil.test", {}, "sandy.test"));
}

TEST_CASE("a key may come as a subprotocol", "[terminal]") {
  CHECK(http::subprotocol_key("sandy.terminal, sandy.bearer.c2stMQ") == "sk-1");
  CHECK(http::subprotocol_key("sandy.bearer._-8") == "\xff\xef");
  CHECK(http::subprotocol_key("sandy.terminal").empty());
  CHECK(http::subprotocol_key("sandy.bearer.").empty());
  CHECK(http::subprotocol_key("sandy.bearer.!").empty());
  CHECK(http::subprotocol_key("").empty());
}

TEST_CASE_METHOD(stage, "a silent viewer is given up, one that answers pings is not", "[terminal]") {
  context->limits.ping_interval = 20ms;
  viewing answers{*this, ""};
  CHECK(answers.client.head().starts_with("HTTP/1.1 101"));
  CHECK(answers.receive_json()["type"] == "ready");
  for (int count = 0; count < 10; ++count) {
    auto ping = answers.client.receive();
    REQUIRE((ping && ping->opcode == 9));
    answers.client.send(10, ping->bytes);
  }
  // And now no more.
  while (answers.client.receive()) {
  }
  answers.end();
  CHECK(io->streams_open == 0);
}

TEST_CASE_METHOD(stage, "a server that stops says good-bye to its viewers", "[terminal]") {
  io->on_silence = [] {};
  viewing one{*this, ""};
  CHECK(one.client.head().starts_with("HTTP/1.1 101"));
  CHECK(one.receive_json()["type"] == "ready");
  boost::asio::post(threads.context(0), [&] { one.exchange.home().draining.come(); });
  auto last = one.client.receive_message();
  REQUIRE((last && last->opcode == 8));
  CHECK(last->close_code() == 1001);
  one.client.send(8, last->bytes);
  one.end();
  CHECK(io->streams_open == 0);
}

TEST_CASE_METHOD(stage, "a paste that nobody takes is held back in bounds, and its viewer is not given up",
                 "[terminal]") {
  context->limits.ping_interval = 20ms;
  io->stuck_input = true;
  io->on_silence = [] {};
  viewing one{*this, ""};
  CHECK(one.client.head().starts_with("HTTP/1.1 101"));
  CHECK(one.receive_json()["type"] == "ready");
  one.client.binary(std::string(100'000, 'x'));
  one.client.binary(std::string(100'000, 'x'));
  for (int count = 0; count < 10; ++count) { // unanswered: they could not be read behind the paste
    auto ping = one.client.receive();
    REQUIRE((ping && ping->opcode == 9));
  }
  one.client.hang_up();
  one.end(); // by its pings, which nobody takes
  CHECK(io->input.empty());
}
