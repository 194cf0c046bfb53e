#include "runtime/docker/container_request.hpp"
#include "runtime/docker/engine.hpp"
#include "runtime/docker/podman.hpp"
#include "runtime/guest_listener.hpp"
#include "runtime/seccomp_filter.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <set>
#include <thread>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using namespace std::chrono_literals;

namespace {

steady_time within(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

/// Answers one question after the other with bytes, each on a connection of its own, and remembers what was
/// asked.
class stand_in {
public:
  explicit stand_in(std::vector<std::string> answers)
      : path_(directory_.path + "/api")
      , listener_(std::move(*listen_at(path_)))
      , thread_([this, answers = std::move(answers)] { serve(answers); }) {}
  stand_in(const stand_in&) = delete;
  stand_in& operator=(const stand_in&) = delete;
  ~stand_in() { thread_.join(); }

  docker::engine engine() const { return docker::engine{path_}; }
  std::string asked() { return asked_; } ///< when all have been answered

private:
  void serve(const std::vector<std::string>& answers) {
    for (const auto& answer : answers) {
      pollfd item{listener_.get(), POLLIN, 0};
      if (::poll(&item, 1, 10'000) != 1)
        return;
      unique_fd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      char piece[4096];
      std::string request;
      while (request.find("\r\n\r\n") == std::string::npos)
        if (auto count = ::recv(client.get(), piece, sizeof piece, 0); count > 0)
          request.append(piece, static_cast<std::size_t>(count));
        else
          break;
      asked_ += request;
      for (std::string_view rest{answer}; !rest.empty();) {
        auto count = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (count <= 0)
          break;
        rest.remove_prefix(static_cast<std::size_t>(count));
      }
      // What was not read would make the end a reset, which takes the answer with it.
      ::shutdown(client.get(), SHUT_WR);
      while (::recv(client.get(), piece, sizeof piece, 0) > 0) {
      }
    }
  }

  temporary_directory directory_;
  std::string path_;
  unique_fd listener_;
  std::string asked_;
  std::thread thread_;
};

std::string answer(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

TEST_CASE("the engine's answers are read, whatever their form", "[docker]") {
  stand_in server{
      {answer(R"({"a":1})"),
       "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n",
       "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n{\"to\":\"the end\"}",
       answer("{\"message\":\"no such\\nthing\"}", "404 Not Found"), answer("not JSON", "500 Sorry")}};
  auto engine = server.engine();
  auto get = [&] {
    auto got = engine.get("/x", within(10s));
    REQUIRE(got);
    return *got;
  };
  CHECK(get().body == nlohmann::json{{"a", 1}});
  CHECK(get().body == nlohmann::json{1, 2});
  auto nothing = get();
  CHECK((nothing.good() && nothing.status == 204));
  CHECK(get().body == nlohmann::json{{"to", "the end"}});
  auto missing = get();
  CHECK_FALSE(missing.good());
  CHECK(missing.message() == "no such thing");
  CHECK(get().message() == "status 500");
}

TEST_CASE("what is no engine, or does not answer, is an error of its own", "[docker]") {
  for (const auto* bytes :
       {"", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1"}) {
    INFO(bytes);
    stand_in server{{bytes}};
    CHECK(code_of(server.engine().get("/x", within(10s)).error()) == errc::internal);
  }
  temporary_directory directory;
  auto nobody = docker::engine{directory.path + "/api"}.get("/x", within(1s));
  REQUIRE_FALSE(nobody);
  CHECK(code_of(nobody.error()) == errc::capacity_exhausted);
  CHECK(retry_after_of(nobody.error()) > 0);
  auto listener = listen_at(directory.path + "/silent");
  CHECK(code_of(docker::engine{directory.path + "/silent"}.get("/x", within(20ms)).error()) ==
        errc::capacity_exhausted);
}

TEST_CASE("an upload is what was read, in chunks", "[docker]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  unique_fd read_end{ends[0]}, write_end{ends[1]};
  REQUIRE(::write(write_end.get(), "content", 7) == 7);
  write_end.reset();
  stand_in server{{answer("{}")}};
  CHECK(server.engine().upload("/images", read_end.get(), within(10s), {}));
}

TEST_CASE("no answer, however broken, breaks who asked", "[docker]") {
  std::mt19937 random{7};
  auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>{0, bound - 1}(random);
  };
  std::vector<std::string> answers;
  for (int i = 0; i < 300; ++i) {
    auto bytes =
        i % 2 == 0
            ? answer(R"([{"Labels":{"sandy.id":"x"},"RepoTags":null}])")
            : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n";
    for (auto changes = below(8); changes > 0; --changes)
      switch (auto at = below(bytes.size()); below(3)) {
      case 0:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 1:
        bytes.insert(at, 1, static_cast<char>(below(256)));
        break;
      default:
        bytes.erase(at, 1 + below(4));
        if (bytes.empty())
          bytes = "x";
      }
    answers.push_back(std::move(bytes));
  }
  auto count = answers.size();
  stand_in server{std::move(answers)};
  auto engine = server.engine();
  for (std::size_t i = 0; i < count; ++i)
    if (auto got = engine.get("/x", within(10s)); got)
      CHECK_FALSE(got->message().empty());
}

TEST_CASE("a container is asked for with every restriction that a sandbox has", "[docker]") {
  docker::container_options options;
  options.image = "image";
  options.hatch = "/data/hatch";
  options.limits = {1ull << 30, 1500, 64, 1ull << 30};
  options.swap_accounting = true;
  options.guest_arguments = {"--lease-ms", "1000"};
  options.seccomp = "{}";
  auto request = docker::container_request(options);
  const auto& host = request.at("HostConfig");
  CHECK(request.at("Entrypoint") ==
        nlohmann::json{"/.sandy/guest", "--hatch", "/.sandy/s", "--lease-ms", "1000"});
  CHECK(host.at("NetworkMode") == "none");
  CHECK(host.at("CapDrop") == nlohmann::json::array({"ALL"}));
  CHECK(host.at("CapAdd").size() == 8);
  CHECK(host.at("SecurityOpt") == nlohmann::json{"no-new-privileges", "seccomp={}"});
  CHECK(host.at("Memory") == 1ull << 30);
  CHECK(host.at("MemorySwap") == 1ull << 30);
  CHECK(host.at("CpuQuota") == 150'000);
  CHECK(host.at("PidsLimit") == 64);
  CHECK_FALSE(host.contains("Privileged"));
  REQUIRE(host.at("Mounts").size() == 1);
  CHECK(host.at("Mounts")[0].at("ReadOnly") == true);
  options.engine_socket = "/var/run/docker.sock";
  options.workspace = "/data/workspace";
  CHECK(docker::container_request(options).at("HostConfig").at("Mounts").size() == 3);
}

TEST_CASE("a container in a sandbox is asked for with the sandbox's network", "[docker]") {
  docker::container_options options;
  options.limits = {1ull << 30, 1500, 64, 1ull << 30};
  auto alone = docker::container_request(options);
  options.within = "0123abcd";
  auto request = docker::container_request(options);
  const auto& host = request.at("HostConfig");
  CHECK(host.at("NetworkMode") == "container:0123abcd");
  // With that an engine takes neither a name of the host nor settings of the network.
  CHECK_FALSE(request.contains("Hostname"));
  CHECK_FALSE(host.contains("Sysctls"));
  CHECK_FALSE(host.contains("Tmpfs"));
  CHECK(host.at("ShmSize") == 32u << 20); // of eighths, a quarter each
  for (auto same : {"CapDrop", "CapAdd", "SecurityOpt", "IpcMode", "CgroupnsMode", "Memory", "PidsLimit",
                    "CpuQuota", "MaskedPaths", "ReadonlyPaths", "Ulimits"})
    CHECK(host.at(same) == alone.at("HostConfig").at(same));
}

TEST_CASE("Podman is asked in its own words", "[docker]") {
  docker::container_options options;
  options.limits = {1ull << 30, 1500, 64, 1ull << 30};
  options.seccomp = "{}";
  for (std::string within : {"", "0123abcd"}) {
    options.within = within;
    const auto plain = docker::container_request(options);
    const auto request = docker::in_words_of_podman(plain, "/data/seccomp.json");
    const auto& host = request.at("HostConfig");
    const auto& security = host.at("SecurityOpt");
    REQUIRE(security.size() == 3);
    CHECK(security[0] == "no-new-privileges");
    CHECK(security[1] == "seccomp=/data/seccomp.json");
    CHECK(security[2].get<std::string>().starts_with("mask=/proc/acpi:"));
    for (const auto& path : plain.at("HostConfig").at("MaskedPaths"))
      CHECK((security[2].get<std::string>() + ":").find(path.get<std::string>() + ":") != std::string::npos);
    CHECK(host.at("Ulimits").size() == 3);
    CHECK(request.at("Hostname") == "sandbox");
    CHECK(host.contains("Tmpfs") == within.empty());
    for (auto same : {"NetworkMode", "CapDrop", "CapAdd", "Memory", "PidsLimit", "CpuQuota", "Mounts"})
      CHECK(host.at(same) == plain.at("HostConfig").at(same));
  }
}

TEST_CASE("Podman is known by its answers", "[docker]") {
  stand_in server{{"HTTP/1.1 200 OK\r\nServer: Libpod/4.3.1 (linux)\r\nContent-Length: 2\r\n\r\nOK",
                   "HTTP/1.1 200 OK\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\nOK",
                   answer("OK"), "SSH-2.0-x\r\n\r\n"}};
  auto engine = server.engine();
  auto asked = [&] { return docker::is_podman(engine, within(10s)); };
  CHECK(*asked());
  CHECK_FALSE(*asked());
  CHECK_FALSE(*asked()); // of what says nothing, as Docker's words are
  CHECK(code_of(asked().error()) == errc::internal);
}

TEST_CASE("an engine's profile has the rules of our filter", "[docker]") {
  auto profile = nlohmann::json::parse(seccomp_profile());
  CHECK(profile.at("defaultAction") == "SCMP_ACT_ERRNO");
  std::set<std::string> allowed, refused;
  for (const auto& rule : profile.at("syscalls"))
    (rule.at("action") == "SCMP_ACT_ALLOW" ? allowed : refused)
        .insert(rule.at("names")[0].get<std::string>());
  for (auto name : {"read", "execve", "socket", "clone", "ioctl"})
    CHECK(allowed.contains(name));
  for (auto name : {"mount", "ptrace", "bpf", "unshare", "io_uring_setup", "keyctl"}) {
    CHECK(refused.contains(name));
    CHECK_FALSE(allowed.contains(name));
  }

  // Which requests of ioctl it lets through, as the kernel compares: all but two, whatever the upper half
  // says.
  auto lets_through = [&](std::uint64_t request) {
    for (const auto& rule : profile.at("syscalls")) {
      if (rule.at("names")[0] != "ioctl")
        continue;
      const auto& condition = rule.at("args").at(0);
      if ((request & condition.at("value").get<std::uint64_t>()) ==
          condition.at("valueTwo").get<std::uint64_t>())
        return true;
    }
    return false;
  };
  for (std::uint64_t upper : {0ull, 1ull << 32, 0xffffffffull << 32}) {
    for (std::uint64_t request : {0x5412, 0x541c})
      CHECK_FALSE(lets_through(upper | request));
    for (std::uint64_t request : {0ull, 0x5401ull, 0x5413ull, 0x5410ull, 0x541bull, 0x541dull, 0x541eull,
                                  0x541full, 0x80045430ull, 0xffffffffull})
      CHECK(lets_through(upper | request));
  }
}
