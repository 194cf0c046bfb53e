#include "actors/limits.hpp"

#include <catch2/catch.hpp>

using namespace sandy;

TEST_CASE("what the caller asks wins over the flavor, the flavor over the defaults, the maximum over all",
          "[limits]") {
  worker_settings settings;
  settings.default_limits = {100, 1000, 10, 1000};
  settings.max_limits = {500, 2000, 20, 5000};
  resource_limits none;
  resource_limits of_flavor{200, 0, 15, 0};

  auto limits = effective_limits(none, none, settings);
  CHECK(limits.memory_bytes == 100);
  CHECK(limits.disk_bytes == 1000);

  limits = effective_limits(none, of_flavor, settings);
  CHECK(limits.memory_bytes == 200);
  CHECK(limits.cpu_millis == 1000);
  CHECK(limits.pids == 15);

  limits = effective_limits({300, 9000, 3, 9000}, of_flavor, settings);
  CHECK(limits.memory_bytes == 300);
  CHECK(limits.cpu_millis == 2000);
  CHECK(limits.pids == 3);
  CHECK(limits.disk_bytes == 5000);
}

TEST_CASE("a lifetime is defaulted and clamped", "[limits]") {
  worker_settings settings;
  settings.default_ttl = std::chrono::seconds{100};
  settings.max_ttl = std::chrono::seconds{1000};
  CHECK(effective_ttl(0, false, settings) == 100);
  CHECK(effective_ttl(999, false, settings) == 999);
  CHECK(effective_ttl(5000, false, settings) == 1000);
  settings.max_ttl = std::chrono::seconds{0};
  CHECK(effective_ttl(5000, false, settings) == 5000);
}

TEST_CASE("Docker's engine makes what asks for it, where there is one", "[limits]") {
  auto chosen = [](const create_sandbox& request, const runtime_settings& settings) {
    sandbox_info info;
    choose_runtime(request, settings, info);
    return std::pair{info.runtime, info.docker_socket};
  };
  create_sandbox plain, upstream, socket, inside;
  upstream.upstream = "docker-primary";
  socket.docker_socket = true;
  inside.docker_socket = true;
  inside.caller.sandbox = make_sandbox_id();
  const runtime_settings none, engine{"crun", true, false}, open{"crun", true, true},
      usual{"docker", true, false};
  using what = std::pair<std::string, bool>;
  for (const auto& each : {plain, upstream, socket, inside})
    CHECK(chosen(each, none) == what{"crun", false});
  CHECK(chosen(plain, engine) == what{"crun", false});
  CHECK(chosen(upstream, engine) == what{"docker", false});
  CHECK(chosen(socket, engine) == what{"docker", false});
  CHECK(chosen(upstream, open) == what{"docker", false});
  CHECK(chosen(socket, open) == what{"docker", true});
  CHECK(chosen(inside, open) == what{"docker", false});
  CHECK(chosen(plain, usual) == what{"docker", false});
}
