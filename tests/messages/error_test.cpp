#include "messages/error.hpp"

#include <caf/sec.hpp>

#include <catch2/catch.hpp>

#include <set>

using namespace sandy;

TEST_CASE("every code has a name of its own", "[error]") {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(errc::last_); ++code) {
    auto name = to_string(static_cast<errc>(code));
    CHECK_FALSE(name.empty());
    CHECK(names.insert(name).second);
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
  }
}

TEST_CASE("an error carries its code and its sentence", "[error]") {
  auto err = fail(errc::disk_full, "No space left in the sandbox");
  CHECK(code_of(err) == errc::disk_full);
  CHECK(text_of(err) == "No space left in the sandbox");
  CHECK(code_of(caf::error{}) == errc::none);
}

TEST_CASE("errors of the actor framework become ours, with words for people", "[error]") {
  CHECK(code_of(caf::make_error(caf::sec::request_timeout)) == errc::deadline_exceeded);
  CHECK(code_of(caf::make_error(caf::sec::request_receiver_down)) == errc::sandbox_ended);
  CHECK(code_of(caf::make_error(caf::sec::bad_function_call)) == errc::internal);
  CHECK(text_of(caf::make_error(caf::sec::bad_function_call)) == "Internal error");
}
