#include "tests/runtime/docker_engine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

sandy::test::engine_program sandy::test::engine_in(const std::string& directory) {
  REQUIRE(runtime::write_new_file(directory + "/config.json", "{}"));
  const auto socket = directory + "/api";
  const auto parent = "/sandy-test-docker-" + directory.substr(directory.size() - 6);
  return {{"/usr/sbin/dockerd", "--config-file=" + directory + "/config.json",
           "--data-root=" + directory + "/data", "--exec-root=" + directory + "/exec",
           "--pidfile=" + directory + "/pid", "--host=unix://" + socket, "--cgroup-parent=" + parent,
           "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
           "--storage-driver=overlay2"},
          socket,
          parent,
          {},
          {"/etc/docker/key.json", "/etc/docker", "/run/docker/plugins", "/run/docker"},
          {}};
}
