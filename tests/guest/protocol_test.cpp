#include "guest/protocol.hpp"
#include "runtime/guest/failures.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

using namespace sandy;
using namespace sandy::guest;

TEST_CASE("a message survives its frame", "[protocol]") {
  spawn_request request;
  request.flags = spawn_request::background | spawn_request::open_stdin;
  request.directory = "/workspace";
  request.env = {"A=1", std::string{"B=\0x", 4}};
  request.argv = {"tar", ""};
  request.timeout_ms = ~0ull;
  request.ring_bytes = 7;
  std::string bytes;
  append_frame(bytes, request);

  raw_frame frame;
  REQUIRE(find_frame(bytes, max_request_payload, frame) == frame_search::found);
  CHECK(static_cast<frame_type>(frame.type) == frame_type::spawn);
  auto read = decode<spawn_request>(frame.payload);
  REQUIRE(read);
  CHECK(read->flags == request.flags);
  CHECK(read->env == request.env);
  CHECK(read->argv == request.argv);
  CHECK(read->timeout_ms == request.timeout_ms);
}

TEST_CASE("what guests of sandboxes that run already say and understand has not changed", "[protocol]") {
  spawn_request request;
  request.directory = "/";
  request.argv = {"x"};
  std::string bytes;
  append_frame(bytes, request);
  CHECK(bytes == std::string("\x23\0\0\0\x03" // spawn
                             "\0"
                             "\1\0\0\0/" // flags, directory
                             "\0\0\0\0"
                             "\1\0\0\0"
                             "\1\0\0\0x" // env, argv
                             "\0\0\0\0\0\0\0\0"
                             "\0\0\0\0\0\0\0\0", // timeout, ring
                             40));
  process_entry entry;
  entry.process_id = 7;
  entry.command = "c";
  bytes.clear();
  append_frame(bytes, entry);
  CHECK(bytes.size() == header_bytes + 4 + 5 + 1 + 25 + 24);
  CHECK(bytes[4] == 72);
}

TEST_CASE("negative numbers survive", "[protocol]") {
  std::string bytes;
  append_fields(bytes, exited{-1, -2, true, 3, 4});
  auto read = decode<exited>(bytes);
  REQUIRE(read);
  CHECK(read->exit_code == -1);
  CHECK(read->signal == -2);
}

TEST_CASE("a frame that is cut anywhere is incomplete, and never half a message", "[protocol]") {
  std::string bytes;
  append_frame(bytes, move_request{"/from", "/to", true});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    raw_frame frame;
    CHECK(find_frame(std::string_view{bytes}.substr(0, size), max_request_payload, frame) ==
          frame_search::incomplete);
  }
  for (std::size_t size = header_bytes; size < bytes.size(); ++size)
    CHECK_FALSE(decode<move_request>(std::string_view{bytes}.substr(header_bytes, size - header_bytes)));
  bytes += 'x';
  CHECK_FALSE(decode<move_request>(std::string_view{bytes}.substr(header_bytes)));
}

TEST_CASE("false lengths are refused without reserving what they claim", "[protocol]") {
  raw_frame frame;
  CHECK(find_frame(std::string{"\xff\xff\xff\x7f\x01", 5}, max_request_payload, frame) ==
        frame_search::too_large);
  // A list that claims four thousand million strings in four bytes.
  std::string payload{"\x00", 1};
  payload += std::string(4, '\0') + std::string(4, '\xff');
  CHECK_FALSE(decode<spawn_request>(payload));
}

TEST_CASE("a guest's refusals become our codes, in printable words of bounded length", "[protocol]") {
  CHECK(code_of(error_of({failure_kind::file, ENOENT, "/x"})) == errc::file_not_found);
  CHECK(text_of(error_of({failure_kind::file, ENOENT, "/x"})) == "File not found: /x");
  CHECK(code_of(error_of({failure_kind::file, ENOSPC, "/x"})) == errc::disk_full);
  CHECK(code_of(error_of({failure_kind::file, EISDIR, "/x"})) == errc::is_directory);
  CHECK(code_of(error_of({failure_kind::working_directory, ENOENT, "/x"})) == errc::invalid_argument);
  CHECK(code_of(error_of({failure_kind::start, EAGAIN, ""})) == errc::limit_reached);
  CHECK(code_of(error_of({failure_kind::unknown_process, 0, ""})) == errc::process_not_found);
  auto text = text_of(error_of({failure_kind::invalid, 0, std::string(100'000, '\n')}));
  CHECK(text.size() <= 4096);
  CHECK(text.find('\n') == std::string::npos);
  CHECK(code_of(error_of({static_cast<failure_kind>(200), 0, ""})) == errc::sandbox_failed);
}
