#include "runtime/crun/oci_config.hpp"
#include "runtime/seccomp_filter.hpp"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <linux/filter.h>

#include <set>

using namespace sandy;
using namespace sandy::runtime;

namespace {

const std::string filter = "filter";

nlohmann::json example(std::uint64_t memory_bytes = 512 << 20) {
  oci_options options;
  options.rootfs = "/mnt/merged";
  options.cgroup_path = "/sandy/one";
  options.limits = {memory_bytes, 1500, 128, 1 << 30};
  options.host_uid = 0x10000000;
  options.arguments = {"/guest"};
  options.seccomp_base64 = &filter;
  return oci_config(options);
}

} // namespace

TEST_CASE("a sandbox has every namespace of its own and ids of its own", "[oci]") {
  auto linux = example()["linux"];
  std::set<std::string> types;
  for (const auto& one : linux["namespaces"]) {
    types.insert(one["type"]);
    CHECK_FALSE(one.contains("path"));
  }
  CHECK(types == std::set<std::string>{"pid", "ipc", "uts", "mount", "cgroup", "network", "user"});
  for (auto key : {"uidMappings", "gidMappings"}) {
    CHECK(linux[key].size() == 1);
    CHECK(linux[key][0]["containerID"] == 0);
    CHECK(linux[key][0]["hostID"] == 0x10000000);
    CHECK(linux[key][0]["size"] == 65536);
  }
}

TEST_CASE("limits are those asked for, swap included", "[oci]") {
  auto resources = example()["linux"]["resources"];
  CHECK(resources["memory"]["limit"] == 512 << 20);
  CHECK(resources["memory"]["swap"] == 512 << 20);
  CHECK(resources["pids"]["limit"] == 128);
  CHECK(resources["cpu"]["quota"] == 150'000);
  CHECK(resources["cpu"]["period"] == 100'000);
  CHECK(resources["devices"][0]["allow"] == false);
  CHECK(resources["devices"][0]["access"] == "rwm");
}

TEST_CASE("memory file systems together stay under half of the memory", "[oci]") {
  auto memory = GENERATE(as<std::uint64_t>{}, 64 << 20, 512 << 20, 8ull << 30);
  std::uint64_t sum = 0;
  auto config = example(memory);
  for (const auto& one : config["mounts"]) {
    auto writable = one["type"] == "tmpfs" && one["destination"] != "/dev";
    for (const auto& option : one["options"].get<std::vector<std::string>>())
      if (writable && option.starts_with("size=") && !option.ends_with('k'))
        sum += std::stoull(option.substr(5));
  }
  CHECK(sum > 0);
  CHECK(sum <= memory / 2);
}

TEST_CASE("nothing of the host is mounted but what is made for the sandbox", "[oci]") {
  auto config = example();
  for (const auto& one : config["mounts"])
    CHECK(one["type"] != "bind");
  CHECK(config["process"]["noNewPrivileges"] == true);
  CHECK(config["process"]["capabilities"]["bounding"].size() == 8);
  CHECK_FALSE(config["process"]["capabilities"].contains("ambient"));
  CHECK(config["annotations"]["run.oci.seccomp_bpf_data"] == filter);
}

TEST_CASE("base64 is that of RFC 4648", "[oci]") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string_view("\xff\x00\xfe", 3)) == "/wD+");
}

TEST_CASE("the system call filter is a program the kernel takes", "[seccomp]") {
  auto program = compile_seccomp_filter();
  REQUIRE(program);
  CHECK(program->size() % sizeof(sock_filter) == 0);
  CHECK(program->size() / sizeof(sock_filter) < BPF_MAXINSNS);
  CHECK(program->size() / sizeof(sock_filter) > 100);
}
