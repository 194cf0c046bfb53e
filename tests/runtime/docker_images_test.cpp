#include "runtime/docker/engine_images.hpp"
#include "runtime/guest_listener.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <mutex>
#include <thread>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using namespace std::chrono_literals;

namespace {

/// An engine that has no images, and takes none: everything that is asked about one is answered with 404,
/// many questions at a time.
class empty_engine {
public:
  empty_engine()
      : path_(directory_.path + "/api")
      , listener_(std::move(*listen_at(path_)))
      , thread_([this] { serve(); }) {}
  empty_engine(const empty_engine&) = delete;
  empty_engine& operator=(const empty_engine&) = delete;
  ~empty_engine() {
    stopping_ = true;
    thread_.join();
  }

  const std::string& path() const { return path_; }
  /// Whether it was asked for something that begins so, within 5 s.
  bool was_asked(std::string_view begin) {
    for (const auto until = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < until;
         std::this_thread::sleep_for(5ms)) {
      std::lock_guard lock{mutex_};
      if (std::any_of(asked_.begin(), asked_.end(),
                      [&](const auto& each) { return each.starts_with(begin); }))
        return true;
    }
    return false;
  }

private:
  void serve() {
    std::vector<std::thread> all;
    while (!stopping_) {
      pollfd item{listener_.get(), POLLIN, 0};
      if (::poll(&item, 1, 20) == 1)
        all.emplace_back([this, client = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)] {
          answer(unique_fd{client});
        });
    }
    for (auto& each : all)
      each.join();
  }
  void answer(unique_fd client) {
    char piece[4096];
    std::string request;
    for (ssize_t count = 1; count > 0 && request.find("\r\n\r\n") == std::string::npos;) {
      count = ::recv(client.get(), piece, sizeof piece, 0);
      request.append(piece, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    {
      std::lock_guard lock{mutex_};
      asked_.push_back(request);
    }
    if (request.starts_with("POST")) // as a real one, it takes everything first, to the last chunk
      for (ssize_t count = 1; count > 0 && !request.ends_with("\r\n0\r\n\r\n");) {
        count = ::recv(client.get(), piece, sizeof piece, 0);
        request.append(piece, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
      }
    const std::string_view list = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
                           none = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
    const auto said = request.starts_with("GET /images/json") ? list : none;
    static_cast<void>(::send(client.get(), said.data(), said.size(), MSG_NOSIGNAL));
    ::shutdown(client.get(), SHUT_WR);
    while (::recv(client.get(), piece, sizeof piece, 0) > 0) {
    }
  }

  temporary_directory directory_;
  std::string path_;
  unique_fd listener_;
  std::mutex mutex_;
  std::vector<std::string> asked_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

origin image_named(const std::string& name) { return {name, {}}; }

/// What stands for the exporter runs for a minute.
const docker::engine_images::options slow{"test", "/bin/sleep", "30", "30"};
const docker::engine_images::options failing{"test", "/bin/false", "", ""};

} // namespace

TEST_CASE("copying an image to the engine holds nobody up", "[docker]") {
  empty_engine server;
  docker::engine engine{server.path()};
  const auto begun = std::chrono::steady_clock::now();
  {
    docker::engine_images images{engine, slow};
    for (const auto* each : {"a", "b", "a", "b"}) {
      auto there = images.provide(image_named(each), {});
      REQUIRE(there);
      CHECK_FALSE(*there);
    }
    CHECK(server.was_asked("POST /images/create"));
    CHECK(images.keep_only({}));
  } // nor does it the server's end
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
}

TEST_CASE("an image that cannot be copied is an error for everybody who asks", "[docker]") {
  empty_engine server;
  docker::engine engine{server.path()};
  docker::engine_images images{engine, failing};
  auto there = images.provide(image_named("a"), {});
  for (const auto until = std::chrono::steady_clock::now() + 5s;
       there && std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(5ms))
    there = images.provide(image_named("a"), {});
  REQUIRE_FALSE(there);
  CHECK(code_of(there.error()) == errc::sandbox_failed);
  CHECK(code_of(images.provide(image_named("a"), {}).error()) == errc::sandbox_failed);
  CHECK(images.provide(image_named("b"), {})); // has its own turn
}

TEST_CASE("only so many images wait to be copied", "[docker]") {
  empty_engine server;
  docker::engine engine{server.path()};
  docker::engine_images images{engine, slow};
  for (int i = 0; i < 64; ++i)
    REQUIRE(images.provide(image_named("image-" + std::to_string(i)), {}));
  auto refused = images.provide(image_named("one more"), {});
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::capacity_exhausted);
  CHECK(retry_after_of(refused.error()) > 0);
  CHECK(images.provide(image_named("image-0"), {}));
}
