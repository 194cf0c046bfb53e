#pragma once

#include "store/store.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace sandy {

/// A directory of its own for each test, removed afterwards.
class store_directory {
public:
  store_directory() {
    std::string pattern = std::filesystem::temp_directory_path() / "sandy-store-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  store_directory(const store_directory&) = delete;
  store_directory& operator=(const store_directory&) = delete;
  ~store_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string path() const { return directory_ / "sandy.db"; }

  std::unique_ptr<store> open() const {
    auto opened = store::open(path());
    INFO((opened ? std::string() : text_of(opened.error())));
    REQUIRE(opened);
    return std::move(*opened);
  }

private:
  std::filesystem::path directory_;
};

/// A record with a value in every field, different for every number.
inline sandbox_record make_record(std::uint32_t number) {
  sandbox_record record;
  record.info.id = {"5a0d" + std::to_string(10'000'000 + number)};
  record.info.tenant = {"tenant-" + std::to_string(number % 3)};
  record.info.state = sandbox_state::ready;
  record.info.flavor = "basic";
  record.info.image = "basic";
  record.info.limits = {1ull << 33, 1500, 512, 18446744073709551615ull};
  record.info.priority = 3;
  record.info.preemptable = true;
  record.info.expose_ports = {80, 5173, 65535};
  record.info.upstream = "docker-primary";
  record.info.workdir = "/workspace/caf\xc3\xa9";
  record.info.runtime = "docker";
  record.info.docker_socket = true;
  record.info.created_at = 1'770'000'000'000 + number;
  record.info.expires_at = 1'770'000'600'000 + number;
  record.info.ttl_seconds = 600;
  record.info.idle_timeout_seconds = 4'000'000'000u;
  record.info.pause_on_idle = true;
  record.info.paused = pause_cause::idle;
  record.info.network = {network_mode::platform, {"*.example.com:443"}, {"10.0.0.0/8"}, 1ull << 40};
  record.network_bounds = {{{"ancestor"}, {network_mode::internet, {"example.com"}, {}, 7}}};
  record.network_bytes = 123'456'789'012;
  record.secrets = {
      {{{"KEY", {"a \"value\""}, {"api.example.com", "*.example.org:8443"}, true}, "placeholder"}},
      {{"a key"}, "a certificate"}};
  record.info.secrets = uses_of(record.secrets);
  record.env = {{"PATH", "/usr/bin"}, {"MULTI", "a\nb\"c\\'; DROP TABLE sandboxes; --"}, {"EMPTY", ""}};
  record.uid_slot = number;
  record.layer = {"1a" + std::to_string(10'000'000 + number)};
  return record;
}

inline void check_equal(const sandbox_record& left, const sandbox_record& right) {
  CHECK(left.info.id == right.info.id);
  CHECK(left.info.tenant == right.info.tenant);
  CHECK(left.info.state == right.info.state);
  CHECK(left.info.flavor == right.info.flavor);
  CHECK(left.info.image == right.info.image);
  CHECK(left.info.limits.memory_bytes == right.info.limits.memory_bytes);
  CHECK(left.info.limits.cpu_millis == right.info.limits.cpu_millis);
  CHECK(left.info.limits.pids == right.info.limits.pids);
  CHECK(left.info.limits.disk_bytes == right.info.limits.disk_bytes);
  CHECK(left.info.priority == right.info.priority);
  CHECK(left.info.preemptable == right.info.preemptable);
  CHECK(left.info.expose_ports == right.info.expose_ports);
  CHECK(left.info.upstream == right.info.upstream);
  CHECK(left.info.workdir == right.info.workdir);
  CHECK(left.info.runtime == right.info.runtime);
  CHECK(left.info.docker_socket == right.info.docker_socket);
  CHECK(left.info.created_at == right.info.created_at);
  CHECK(left.info.expires_at == right.info.expires_at);
  CHECK(left.info.ttl_seconds == right.info.ttl_seconds);
  CHECK(left.info.idle_timeout_seconds == right.info.idle_timeout_seconds);
  CHECK(left.info.pause_on_idle == right.info.pause_on_idle);
  CHECK(left.info.paused == right.info.paused);
  CHECK(left.info.network == right.info.network);
  CHECK(left.network_bounds == right.network_bounds);
  CHECK(left.network_bytes == right.network_bytes);
  CHECK(left.secrets == right.secrets);
  CHECK(left.info.secrets == right.info.secrets);
  CHECK(left.env == right.env);
  CHECK(left.uid_slot == right.uid_slot);
  CHECK(left.layer == right.layer);
}

} // namespace sandy
