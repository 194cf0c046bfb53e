#include "app/units.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using std::chrono::milliseconds;

TEST_CASE("sizes are read as people write them", "[units]") {
  CHECK(*parse_size("0") == 0);
  CHECK(*parse_size("1048576") == 1048576);
  CHECK(*parse_size("512Ki") == 512ull << 10);
  CHECK(*parse_size("512KiB") == 512ull << 10);
  CHECK(*parse_size("4Gi") == 4ull << 30);
  CHECK(*parse_size("1.5Gi") == 3ull << 29);
  CHECK(*parse_size("10G") == 10'000'000'000);
  CHECK(*parse_size("2Ti") == 2ull << 40);
  CHECK(*parse_size("64KB") == 64'000);
  CHECK(*parse_size("7B") == 7);
  for (auto text :
       {"", "Gi", "4Gi ", " 4Gi", "-1", "+1", "4gi", "4Xi", "1e9", "inf", "nan", "1.2.3", "4Gi4", "0x10"})
    CHECK_FALSE(parse_size(text));
  CHECK_FALSE(parse_size("9000000Ti"));
  CHECK_FALSE(parse_size("99999999999999999999"));
}

TEST_CASE("durations are read as people write them", "[units]") {
  CHECK(*parse_duration("500ms") == milliseconds(500));
  CHECK(*parse_duration("30s") == milliseconds(30'000));
  CHECK(*parse_duration("10m") == milliseconds(600'000));
  CHECK(*parse_duration("3h") == milliseconds(10'800'000));
  CHECK(*parse_duration("1h30m") == milliseconds(5'400'000));
  CHECK(*parse_duration("2d") == milliseconds(172'800'000));
  CHECK(*parse_duration("0.5s") == milliseconds(500));
  CHECK(*parse_duration("45") == milliseconds(45'000)); // alone: seconds
  CHECK(*parse_duration("0") == milliseconds(0));
  for (auto text : {"", "s", "-3s", "3x", "3 s", "1h30", "3s ", "1e3s", "10000000d"})
    CHECK_FALSE(parse_duration(text));
}

TEST_CASE("cores are read whole, broken and in thousandths", "[units]") {
  CHECK(*parse_cores("2") == 2000);
  CHECK(*parse_cores("0.5") == 500);
  CHECK(*parse_cores("1.25") == 1250);
  CHECK(*parse_cores("250m") == 250);
  for (auto text : {"", "two", "-1", "1c", "99999999"})
    CHECK_FALSE(parse_cores(text));
}

TEST_CASE("what is printed reads back as the same", "[units]") {
  for (std::uint64_t bytes :
       {1ull, 1000ull, 1024ull, 1536ull, 65536ull, 1ull << 30, 3ull << 29, 5'000'000'000ull})
    CHECK(*parse_size(print_size(bytes)) == bytes);
  CHECK(print_size(64ull << 20) == "64Mi");
  for (std::int64_t count :
       {0ll, 1ll, 999ll, 1000ll, 20'000ll, 90'000ll, 5'400'000ll, 86'400'000ll, 90'061'001ll})
    CHECK(*parse_duration(print_duration(milliseconds(count))) == milliseconds(count));
  CHECK(print_duration(milliseconds(86'400'000)) == "24h");
  CHECK(print_duration(milliseconds(5'400'000)) == "1h30m");
  for (std::uint32_t millis : {10u, 500u, 1000u, 1500u, 8000u})
    CHECK(*parse_cores(print_cores(millis)) == millis);
}
