#include "tests/runtime/docker_engine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

sandy::test::engine_program sandy::test::engine_in(const std::string& directory) {
  // Locks of other Podmans on the machine are in a memory of all, unless they are files. Containers have no
  // network that a program would have to be installed for. runc: crun refuses groups that are neither v1 nor
  // v2 alone.
  REQUIRE(runtime::write_new_file(directory + "/containers.conf",
                                  "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
                                  "lock_type = \"file\"\nruntime = \"runc\"\n"
                                  "[network]\nnetwork_backend = \"cni\"\n"
                                  "network_config_dir = \"" +
                                      directory + "/networks\"\n"));
  REQUIRE(runtime::write_new_file(directory + "/storage.conf",
                                  "[storage]\ndriver = \"overlay\"\ngraphroot = \"" + directory +
                                      "/data\"\nrunroot = \"" + directory + "/run\"\n"));
  // The image that the engine is given is as large as a disk may be; /tmp may be memory.
  std::filesystem::create_directory(directory + "/tmp");
  std::vector<std::string> groups;
  for (const auto& tree : runtime::directories_in("/sys/fs/cgroup"))
    for (auto name : {"/libpod_parent/conmon", "/libpod_parent"})
      groups.push_back("/sys/fs/cgroup/" + tree + name);
  const auto socket = directory + "/api";
  return {{"/usr/bin/env", "--chdir=" + directory, // conmon leaves a file there, "oom"
           "CONTAINERS_CONF=" + directory + "/containers.conf",
           "CONTAINERS_STORAGE_CONF=" + directory + "/storage.conf", "TMPDIR=" + directory + "/tmp",
           "/usr/bin/podman", "--root=" + directory + "/data", "--runroot=" + directory + "/run",
           "--tmpdir=" + directory + "/state", "system", "service", "--time=0", "unix://" + socket},
          socket,
          "/libpod_parent", // not to be chosen
          {"conmon"},       // a process for each container, which ends a moment after it
          std::move(groups),
          {directory + "/data/overlay"}};
}
