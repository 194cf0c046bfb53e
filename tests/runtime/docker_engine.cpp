#define CATCH_CONFIG_EXTERNAL_INTERFACES // the end of a run is told to listeners
#include "tests/runtime/docker_engine.hpp"

#include "runtime/cgroup.hpp"
#include "runtime/files.hpp"
#include "runtime/process.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>

namespace sandy::test {

using namespace sandy::runtime;
using namespace std::chrono_literals;

namespace {

steady_time within(std::chrono::steady_clock::duration time) {
  return std::chrono::steady_clock::now() + time;
}

std::unique_ptr<docker_engine>& shared_engine() {
  static std::unique_ptr<docker_engine> engine;
  return engine;
}

/// The last test may be any.
struct end_of_run : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;
  void testRunEnded(const Catch::TestRunStats&) override { docker_engine::end_shared(); }
};
CATCH_REGISTER_LISTENER(end_of_run)

std::vector<std::string> of_each(const nlohmann::json& list, const char* names) {
  std::vector<std::string> all;
  for (const auto& each : list)
    if (each.at(names).is_array())
      for (const auto& name : each.at(names))
        all.push_back(name.get<std::string>());
  return all;
}

std::string with_label(const std::string& label) {
  return "?all=1&filters=" + docker::encoded(nlohmann::json{{"label", {label}}}.dump());
}

} // namespace

docker_engine& docker_engine::shared() {
  auto& engine = shared_engine();
  if (!engine)
    engine = std::make_unique<docker_engine>();
  return *engine;
}

void docker_engine::end_shared() { shared_engine().reset(); }

docker_engine::docker_engine() {
  if (::geteuid() != 0)
    FAIL("these tests start an engine and need root");
  char name[] = "/var/tmp/sandy-test-XXXXXX"; // not a tmpfs, which overlayfs would not do on
  REQUIRE(::mkdtemp(name) != nullptr);
  directory_ = name;
  driver_data_ = directory_ + "/driver";
  std::filesystem::create_directory(driver_data_);
  program_ = engine_in(directory_);
  for (const auto& path : program_.traces)
    if (std::filesystem::exists(path))
      foreign_.push_back(path);
  start();
}

void docker_engine::start() {
  std::vector<char*> argv;
  for (auto& argument : program_.arguments)
    argv.push_back(argument.data());
  argv.push_back(nullptr);
  auto log = directory_ + "/log";
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM); // a test that crashes leaves no engine
    int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(file, 1);
    ::dup2(file, 2);
    ::execv(argv.front(), argv.data());
    ::_exit(127);
  }
  REQUIRE(pid_ > 0);
  auto process = open_pidfd(pid_);
  REQUIRE(process);
  process_ = std::move(*process);
  await_start();
}

void docker_engine::await_start() {
  docker::engine engine{socket()};
  for (auto deadline = within(60s); std::chrono::steady_clock::now() < deadline;) {
    if (auto answer = engine.get("/version", within(1s)); answer && answer->good())
      return;
    if (wait_for_exit(process_.get(), within(50ms)))
      break;
  }
  FAIL("the engine did not start: " + read_small_file(directory_ + "/log").value_or("no log"));
}

void docker_engine::stop() {
  if (!process_)
    return;
  ::kill(pid_, SIGTERM); // ends its containerd and its containers, too
  if (!wait_for_exit(process_.get(), within(60s))) {
    std::cerr << "the engine does not end\n";
    std::abort();
  }
  process_.reset();
}

docker_engine::~docker_engine() {
  stop();
  std::error_code ignored;
  for (const auto& path : program_.mounts)
    ::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  std::filesystem::remove_all(directory_, ignored);
  if (auto layout = cgroup_layout::detect())
    for (const auto& tree : layout->trees())
      ::rmdir((tree + cgroup_parent()).c_str());
  for (const auto& path : program_.traces)
    if (std::find(foreign_.begin(), foreign_.end(), path) == foreign_.end())
      std::filesystem::remove(path, ignored);
  if (std::filesystem::exists(directory_)) {
    std::cerr << "left behind: " << directory_ << '\n';
    std::abort(); // a destructor cannot fail a test in any milder way
  }
}

std::vector<std::string> docker_engine::without_own_groups(std::vector<std::string> traces) const {
  for (const auto& name : program_.other_groups)
    std::erase_if(traces, [part = cgroup_parent() + "/" + name](const std::string& each) {
      return each.find(part) != std::string::npos;
    });
  return traces;
}

nlohmann::json docker_engine::get(const std::string& target) const {
  auto answer = docker::engine{socket()}.get(target, within(60s));
  REQUIRE(answer);
  INFO(answer->message());
  REQUIRE(answer->good());
  return answer->body;
}

std::vector<std::string> docker_engine::containers(const std::string& label) const {
  return of_each(get("/containers/json" + with_label(label)), "Names");
}

std::vector<std::string> docker_engine::images(const std::string& label) const {
  return of_each(get("/images/json" + with_label(label)), "RepoTags");
}

} // namespace sandy::test
