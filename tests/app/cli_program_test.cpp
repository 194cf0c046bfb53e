// The `sandy` program itself, against a server that answers by script.

#include "tests/app/client_program.hpp"

#include <signal.h>

using namespace sandy;
using Catch::Matchers::Contains;

namespace {

constexpr const char* id = "0123456789abcdef01234567";

std::string chunk(const std::string& bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}

/// An event stream of these events, one chunk each. @param ended with the last chunk of the answer.
std::string stream_answer(const std::vector<std::string>& events, bool ended = true) {
  std::string text =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const auto& event : events)
    text += chunk(event);
  return ended ? text + "0\r\n\r\n" : text;
}

const std::string created_answer =
    json_answer(std::string(R"({"id":")") + id + R"(","warnings":["No GPU here."]})");
const std::string terminated_answer = json_answer(R"({"ok":true})");

} // namespace

TEST_CASE("exec passes output on exactly, and the exit code", "[cli]") {
  scripted_server server(
      {{stream_answer({"event: stdout\ndata: {\"offset\":0,\"text\":\"caf\\u00e9\\n\"}\n\n",
                       ": keep-alive\n\n", "event: stderr\ndata: {\"offset\":6,\"text\":\"warn\"}\n\n",
                       "event: stdout\ndata: {\"offset\":10,\"base64\":\"AP/+\"}\n\n",
                       "event: exit\ndata: {\"exit_code\":42,\"timed_out\":false}\n\n"})}});
  auto done = run(server, {"exec", id, "-e", "A=1", "--", "echo", "a b"});
  CHECK(done.exit_code == 42);
  CHECK(done.out == std::string("caf\xc3\xa9\n\x00\xff\xfe", 9));
  CHECK(done.err == "warn");
  auto request = server.stop().at(0);
  CHECK(request.starts_with(std::string("POST /api/sandboxes/") + id + "/exec HTTP/1.1\r\n"));
  CHECK_THAT(request, Contains("Authorization: Bearer k-1\r\n") && Contains("Accept: text/event-stream\r\n"));
  CHECK(body_of(request) ==
        nlohmann::json::parse(R"({"command":"echo 'a b'","env":{"A":"1"},"stream":true})"));
}

TEST_CASE("a timeout is told beside its exit code", "[cli]") {
  scripted_server server(
      {{stream_answer({"event: exit\ndata: {\"exit_code\":124,\"timed_out\":true}\n\n"})}});
  auto done = run(server, {"exec", id, "-c", "sleep 9"});
  CHECK(done.exit_code == 124);
  CHECK_THAT(done.err, Contains("timeout"));
}

TEST_CASE("an exit code is never made up", "[cli]") {
  auto lost = GENERATE(stream_answer({"event: stdout\ndata: {\"offset\":0,\"text\":\"x\"}\n\n"}, false),
                       stream_answer({"event: stdout\ndata: {\"offset\":0,\"text\":\"x\"}\n\n"}),
                       stream_answer({"event: error\ndata: {\"detail\":\"sandbox expired\"}\n\n"}),
                       stream_answer({"event: exit\ndata: {}\n\n"}),
                       stream_answer({"event: exit\ndata: nonsense\n\n"}), std::string("HTTP/1.1 200 OK\r\n"),
                       std::string("garbage\r\n\r\n"), std::string());
  INFO(lost);
  scripted_server server({{lost}});
  auto done = run(server, {"exec", id, "true"});
  CHECK(done.exit_code == 125);
  CHECK(done.err.starts_with("sandy: "));
}

TEST_CASE("a refusal shows the server's words", "[cli]") {
  scripted_server server({{json_answer(R"({"detail":"Sandbox not found"})", "404 Not Found")},
                          {json_answer(R"({"detail":"Sandbox not found"})", "404 Not Found")},
                          {json_answer("<html>", "502 Bad Gateway")}});
  auto done = run(server, {"exec", id, "true"});
  CHECK(done.exit_code == 125);
  CHECK(done.err == "sandy: The server refused: Sandbox not found (status 404)\n");
  CHECK(run(server, {"get", id}).exit_code == 1);
  CHECK_THAT(run(server, {"get", id}).err, Contains("status 502"));
}

TEST_CASE("a server that is not there is named", "[cli]") {
  auto done = program("http://127.0.0.1:1", {"health"}).wait();
  CHECK(done.exit_code == 1);
  CHECK_THAT(done.err, Contains("Cannot reach 127.0.0.1:1"));
}

TEST_CASE("run creates, runs and ends, and passes the exit code on", "[cli]") {
  scripted_server server(
      {{created_answer}, {stream_answer({"event: exit\ndata: {\"exit_code\":3}\n\n"})}, {terminated_answer}});
  auto done = run(server, {"run", "--memory", "1Gi", "--", "false"});
  CHECK(done.exit_code == 3);
  CHECK(done.err == "sandy: No GPU here.\n");
  auto requests = server.stop();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].starts_with("POST /api/sandboxes HTTP/1.1\r\n"));
  CHECK(body_of(requests[0]) == nlohmann::json::parse(R"({"resources":{"memory":"1Gi"}})"));
  CHECK(requests[2].starts_with(std::string("POST /api/sandboxes/") + id + "/terminate HTTP/1.1\r\n"));
}

TEST_CASE("run ends the sandbox also when the command was lost", "[cli]") {
  scripted_server server({{created_answer}, {stream_answer({}, false)}, {terminated_answer}});
  CHECK(run(server, {"run", "--", "true"}).exit_code == 125);
  CHECK(server.stop().size() == 3);
}

TEST_CASE("run says so when the sandbox may live on", "[cli]") {
  scripted_server server({{created_answer}, {stream_answer({"event: exit\ndata: {\"exit_code\":0}\n\n"})}});
  auto done = run(server, {"run", "--", "true"});
  CHECK(done.exit_code == 125);
  CHECK_THAT(done.err, Contains(id) && Contains("may still live"));
}

TEST_CASE("an interrupted run ends its sandbox", "[cli]") {
  program* running = nullptr;
  std::atomic<bool> started{false};
  scripted_server server(
      {{created_answer},
       {stream_answer({"event: stdout\ndata: {\"offset\":0,\"text\":\"going\"}\n\n"}, false), true},
       {terminated_answer}},
      [&](std::size_t index) {
        if (index == 1) {
          started.wait(false);
          running->signal(SIGINT);
        }
      });
  program client(server.url(), {"run", "--", "sleep", "1000"});
  running = &client;
  started = true;
  started.notify_one();
  auto done = client.wait();
  CHECK(done.exit_code == 128 + SIGINT);
  auto requests = server.stop();
  REQUIRE(requests.size() == 3);
  CHECK_THAT(requests[2], Contains("/terminate"));
}

TEST_CASE("files are copied in, by name, exactly", "[cli]") {
  temporary_directory directory;
  std::string content(1'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i * 7 + i / 256);
  auto file = directory.write("data & more.bin", content);
  scripted_server server({{json_answer("{}")}, {json_answer("{}")}, {json_answer("{}")}});
  CHECK(run(server, {"cp", file, std::string(id) + ":/workspace/"}).exit_code == 0);
  CHECK(run(server, {"cp", "-", std::string(id) + ":in.txt"}, "from standard input").exit_code == 0);
  CHECK(run(server, {"cp", directory.write("empty", ""), std::string(id) + ":/e"}).exit_code == 0);
  auto requests = server.stop();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].starts_with(std::string("PUT /api/sandboxes/") + id +
                                "/files?path=/workspace/data%20%26%20more.bin HTTP/1.1\r\n"));
  CHECK((requests[0].substr(requests[0].find("\r\n\r\n") + 4) == content));
  CHECK_THAT(requests[1],
             Contains("files?path=in.txt ") && Contains("\r\n13\r\nfrom standard input\r\n0\r\n\r\n"));
  CHECK_THAT(requests[2], Contains("Content-Length: 0\r\n"));
}

TEST_CASE("a copy that the server refuses at once shows why", "[cli]") {
  temporary_directory directory;
  auto file = directory.write("big", std::string(8 << 20, 'x'));
  scripted_server server(
      {{json_answer(R"({"detail":"No space left in the sandbox"})", "507 Insufficient Storage"), false,
        true}});
  auto done = run(server, {"cp", file, std::string(id) + ":/x"});
  CHECK(done.exit_code == 1);
  CHECK_THAT(done.err, Contains("No space left in the sandbox"));
}

TEST_CASE("files are copied out and appear when they are complete", "[cli]") {
  temporary_directory directory;
  const std::string content("\x00\xff binary \r\n", 12);
  auto head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ";
  scripted_server server({{head + std::string("12\r\n\r\n") + content},
                          {head + std::string("12\r\n\r\n") + content},
                          {head + std::string("100\r\n\r\n") + content},
                          {head + std::string("0\r\n\r\n")}});
  auto remote = std::string(id) + ":/workspace/out.bin";
  CHECK(run(server, {"cp", remote, directory.path()}).exit_code == 0);
  std::ifstream file(directory.path() + "/out.bin");
  CHECK((std::string(std::istreambuf_iterator<char>(file), {}) == content));
  CHECK((run(server, {"cp", remote, "-"}).out == content));
  auto cut = run(server, {"cp", remote, directory.path() + "/cut"});
  CHECK(cut.exit_code == 1);
  CHECK_FALSE(std::filesystem::exists(directory.path() + "/cut"));
  CHECK(run(server, {"cp", remote, directory.path() + "/empty"}).exit_code == 0);
  CHECK(std::filesystem::file_size(directory.path() + "/empty") == 0);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path()))
    ++files;
  CHECK(files == 2); // no drafts
}

TEST_CASE("copies that cannot be are refused before anything is sent", "[cli]") {
  temporary_directory directory;
  scripted_server server({});
  auto remote = std::string(id) + ":/x";
  CHECK(run(server, {"cp", "a", "b"}).exit_code == 2);
  CHECK(run(server, {"cp", remote, remote}).exit_code == 2);
  CHECK_THAT(run(server, {"cp", directory.path(), remote}).err, Contains("is a directory"));
  CHECK_THAT(run(server, {"cp", "/nonexistent", remote}).err, Contains("Cannot read /nonexistent"));
  CHECK(run(server, {"cp", remote, "/nonexistent/x"}).exit_code == 1);
  CHECK(server.stop().empty());
}

TEST_CASE("create prints the id, ls a table, logs their lines", "[cli]") {
  scripted_server server(
      {{created_answer},
       {json_answer(
           std::string(R"({"total":1,"sandboxes":[{"id":")") + id +
           R"(","status":"running","flavor":"basic","createdAt":"2026-01-20T10:00:00.000+00:00","ttl_remaining":600}]})")},
       {json_answer(
           R"({"logs":[{"timestamp":"T1","source":"sandbox","line":"ready"},{"timestamp":"T2","source":"sandbox","line":"x"}]})")},
       {json_answer(R"({"status":"ok"})")},
       {json_answer(R"({"status":"draining"})")}});
  CHECK(run(server, {"create"}).out == std::string(id) + "\n");
  auto table = run(server, {"ls"}).out;
  CHECK_THAT(table, Contains("ID ") && Contains(std::string(id) +
                                                "  running  basic   2026-01-20T10:00:00.000+00:00  600\n"));
  CHECK(run(server, {"logs", id, "-n", "2"}).out == "T1 sandbox ready\nT2 sandbox x\n");
  CHECK(run(server, {"health"}).exit_code == 0);
  CHECK(run(server, {"health"}).exit_code == 1);
  auto requests = server.stop();
  CHECK_THAT(requests[2], Contains("/logs?tail=2 "));
}

TEST_CASE("rm ends the others when one is gone", "[cli]") {
  scripted_server server(
      {{json_answer(R"({"detail":"Sandbox not found"})", "404 Not Found")}, {terminated_answer}});
  auto done = run(server, {"rm", "gone", id});
  CHECK(done.exit_code == 1);
  CHECK(done.out == std::string(id) + "\n");
  CHECK_THAT(done.err, Contains("gone: ") && Contains("Sandbox not found"));
}

TEST_CASE("pause and resume do so to each", "[cli]") {
  scripted_server server({{terminated_answer}, {terminated_answer}, {terminated_answer}});
  CHECK(run(server, {"pause", id, "other"}).out == std::string(id) + "\nother\n");
  CHECK(run(server, {"resume", id}).exit_code == 0);
  auto requests = server.stop();
  CHECK_THAT(requests[0], Contains("POST /api/sandboxes/" + std::string(id) + "/pause "));
  CHECK_THAT(requests[2], Contains("/resume "));
}
