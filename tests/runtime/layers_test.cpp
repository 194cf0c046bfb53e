#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/crun/layer_store.hpp"
#include "runtime/crun/layout.hpp"
#include "runtime/files.hpp"
#include "runtime/process.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using namespace std::chrono_literals;

namespace {

struct layered : machine {
  ~layered() {
    auto sandboxes = driver().list();
    for (const auto& id : *sandboxes)
      static_cast<void>(driver().destroy(id)); // what stays, the base finds
    auto layers = driver().layers();
    for (const auto& id : *layers)
      static_cast<void>(driver().remove_layer(id));
  }

  std::string output_of(const instance& where, const std::string& script) {
    auto ran = run_inside(where, script);
    INFO(script << '\n' << ran.errors);
    REQUIRE(ran.failure == "");
    REQUIRE(ran.exit_code == 0);
    return ran.output;
  }
  layer_copy copy(const sandbox_id& id, const layer_id& to) {
    auto copied = driver().copy_layer(id, to);
    if (!copied)
      FAIL(text_of(copied.error()));
    return *copied;
  }
  /// A sandbox made from a layer.
  instance create_on(const layer_id& layer) {
    auto wanted = spec();
    wanted.layer = layer;
    return create(wanted);
  }
  cgroup group_of(const sandbox_id& id) { return {layout, cgroup_of(id)}; }

  /// The number in a file that is being rewritten; 0 for the moment in which it is empty.
  long long number_in(const instance& where, const std::string& file) {
    return std::atoll(output_of(where, "cat " + file).c_str());
  }

  cgroup_layout layout = *cgroup_layout::detect();
};

bool eventually(const std::function<bool()>& condition) {
  for (auto deadline = std::chrono::steady_clock::now() + 10s; !condition(); std::this_thread::sleep_for(1ms))
    if (std::chrono::steady_clock::now() > deadline)
      return false;
  return true;
}

} // namespace

TEST_CASE_METHOD(layered, "what a sandbox wrote is in a sandbox made from its layer", "[privileged]") {
  auto source = spec();
  auto made = create(source);
  output_of(made, "mkdir -p /workspace/app/empty && echo one >/workspace/app/one && ln /workspace/app/one "
                  "/workspace/app/two && ln -s one /workspace/app/three && mkfifo /workspace/app/pipe && "
                  "truncate -s 1G /workspace/app/holes && chmod 640 /workspace/app/one && "
                  "chown 1000:1001 /workspace/app/empty && touch -d @1000000000 /workspace/app/empty && "
                  "rm /etc/debian_version && rm -r /usr/share/base-files && mkdir /usr/share/base-files && "
                  "echo new >/usr/share/base-files/new && echo changed >>/etc/passwd");
  auto layer = make_layer_id();
  CHECK(copy(source.id, layer).below.value.empty());
  REQUIRE(driver().destroy(source.id)); // the layer stands alone

  auto later = create_on(layer);
  CHECK(output_of(later, "cat /workspace/app/one; stat -c '%a %h %u:%g' /workspace/app/one; readlink "
                         "/workspace/app/three; stat -c '%F %u:%g %Y' /workspace/app/empty; stat -c %F "
                         "/workspace/app/pipe; stat -c '%s %b' /workspace/app/holes") ==
        "one\n640 2 0:0\none\ndirectory 1000:1001 1000000000\nfifo\n1073741824 0\n");
  CHECK(output_of(later,
                  "test ! -e /etc/debian_version && ls /usr/share/base-files && tail -n 1 /etc/passwd") ==
        "new\nchanged\n");
  CHECK(output_of(later, "echo more >>/workspace/app/one && cat /workspace/app/two").starts_with("one\n"));
  // Its own writes are its own.
  CHECK(output_of(create_on(layer), "cat /workspace/app/one") == "one\n");
}

TEST_CASE_METHOD(layered, "layers stack, as deep as the bound", "[privileged]") {
  layer_id top;
  std::string all;
  for (int depth = 0; depth <= most_layers; ++depth) {
    auto wanted = spec();
    wanted.layer = top;
    auto made = create(wanted);
    output_of(made, "echo " + std::to_string(depth) + " >>/workspace/depths");
    all += std::to_string(depth) + "\n";
    CHECK(output_of(made, "cat /workspace/depths") == all);
    auto next = make_layer_id();
    auto copied = driver().copy_layer(wanted.id, next);
    REQUIRE(driver().destroy(wanted.id));
    if (depth == most_layers) {
      CHECK(code_of(copied.error()) == errc::conflict);
      break;
    }
    REQUIRE(copied);
    CHECK(copied->below == top);
    top = next;
  }
  CHECK(driver().layers()->size() == most_layers);
}

TEST_CASE_METHOD(layered, "a sandbox stands still while it is copied and runs on after", "[privileged]") {
  auto source = spec();
  auto made = create(source);
  // Two files that are equal at every moment but between two writes.
  REQUIRE(
      start_inside(made, "i=0; while :; do i=$((i+1)); echo $i >/root/a; echo $i >/root/b; done").failure ==
      "");
  REQUIRE(eventually([&] { return run_inside(made, "test -s /root/b").exit_code == 0; }));
  auto layer = make_layer_id();
  copy(source.id, layer);
  CHECK_FALSE(group_of(source.id).frozen());
  auto before = number_in(made, "/root/b");
  CHECK(eventually([&] { return number_in(made, "/root/b") > before; }));
  auto frozen_in = create_on(layer);
  auto a = number_in(frozen_in, "/root/a"), b = number_in(frozen_in, "/root/b");
  CHECK((a == b || a == b + 1 || a == 0 || b == 0));
}

TEST_CASE_METHOD(layered, "a sandbox that stood still before is copied and stands still after",
                 "[privileged]") {
  auto source = spec();
  auto made = create(source);
  output_of(made, "echo kept >/root/kept");
  REQUIRE(group_of(source.id).freeze(std::chrono::steady_clock::now() + 5s));
  auto layer = make_layer_id();
  copy(source.id, layer);
  CHECK(group_of(source.id).frozen());
  CHECK(output_of(create_on(layer), "cat /root/kept") == "kept\n");
}

TEST_CASE_METHOD(layered, "a layer that cannot be made leaves nothing", "[privileged]") {
  CHECK(code_of(driver().copy_layer(make_sandbox_id(), make_layer_id()).error()) == errc::sandbox_failed);
  auto source = spec();
  auto made = create(source);
  auto layer = make_layer_id();
  copy(source.id, layer);
  CHECK(code_of(driver().copy_layer(source.id, layer).error()) == errc::conflict);
  CHECK(driver().layers()->size() == 1);
  CHECK(code_of(driver().copy_layer(source.id, {"../../etc"}).error()) == errc::invalid_argument);

  auto failing = options();
  failing.copier =
      script("failing-copier", "touch \"$4/half\"; echo 'No space left on device' >&2; exit 1\n");
  restart(failing);
  CHECK(code_of(driver().copy_layer(source.id, make_layer_id()).error()) == errc::capacity_exhausted);
  CHECK(driver().layers()->size() == 1);
  CHECK_FALSE(group_of(source.id).frozen());
  CHECK_FALSE(std::filesystem::exists(files(source.id).copying));
}

TEST_CASE_METHOD(layered, "a missing layer is told, and nothing is made", "[privileged]") {
  auto wanted = spec();
  for (auto name : {std::string{"../../etc"}, make_layer_id().value}) {
    wanted.layer.value = name;
    CHECK(code_of(driver().create(wanted).error()) == errc::image_not_found);
  }
  CHECK(driver().list()->empty());
  auto source = spec();
  create(source);
  auto layer = make_layer_id();
  copy(source.id, layer);
  REQUIRE(driver().remove_layer(layer));
  CHECK(driver().remove_layer(layer)); // idempotent
  wanted.layer = layer;
  CHECK(code_of(driver().create(wanted).error()) == errc::image_not_found);
}

TEST_CASE_METHOD(layered, "a sandbox is destroyed while it is copied", "[privileged]") {
  auto slow = options();
  slow.copier = script("slow-copier", "mkdir \"$0.started\"; sleep 1000 & wait\n");
  restart(slow);
  auto source = spec();
  create(source);
  result<layer_copy> copied = layer_copy{};
  std::thread copying{[&] { copied = driver().copy_layer(source.id, make_layer_id()); }};
  auto started = eventually([&] { return std::filesystem::exists(slow.copier + ".started"); });
  auto destroyed = driver().destroy(source.id);
  copying.join();
  CHECK(started);
  CHECK(destroyed);
  CHECK_FALSE(copied);
  CHECK(driver().layers()->empty());
}

TEST_CASE_METHOD(layered, "copies end when they are told to, and their sandboxes go on", "[privileged]") {
  auto stuck = options();
  stuck.copier = script("stuck-copier", "mkdir \"$0.started\"; sleep 1000 & wait\n");
  restart(stuck);
  CHECK(driver().end_copies()); // of which there are none
  auto source = spec();
  auto made = create(source);
  result<layer_copy> copied = layer_copy{};
  std::thread copying{[&] { copied = driver().copy_layer(source.id, make_layer_id()); }};
  auto started = eventually([&] { return std::filesystem::exists(stuck.copier + ".started"); });
  auto ended = driver().end_copies();
  copying.join();
  CHECK(started);
  CHECK(ended);
  CHECK_FALSE(copied);
  CHECK(driver().layers()->empty());
  CHECK_FALSE(group_of(source.id).frozen());
  CHECK(output_of(made, "echo alive") == "alive\n");
}

TEST_CASE_METHOD(layered, "a sandbox is found while it is copied, and the copying goes on", "[privileged]") {
  auto slow = options();
  slow.copier =
      script("slow-copier", "mkdir \"$0.started\"; while [ ! -e \"$0.go\" ]; do sleep 0.01; done\n");
  restart(slow);
  auto source = spec();
  auto made = create(source);
  result<layer_copy> copied = fail(errc::internal, "not yet");
  std::thread copying{[&] { copied = driver().copy_layer(source.id, make_layer_id()); }};
  auto started = eventually([&] { return std::filesystem::exists(slow.copier + ".started"); });
  auto found = driver().attach(source.id);
  auto stood_still = group_of(source.id).frozen();
  static_cast<void>(script("slow-copier.go", ""));
  copying.join();
  CHECK(started);
  CHECK(found);
  CHECK(stood_still);
  CHECK(copied);
  CHECK(output_of(made, "echo alive") == "alive\n");
}

TEST_CASE_METHOD(layered, "a sandbox whose copying a killed server left runs on", "[privileged]") {
  auto stood_still = GENERATE(false, true);
  auto stuck = options();
  stuck.copier = script("stuck-copier", "sleep 1000 & mkdir \"$0.started\"; wait\n");
  restart(stuck);
  auto source = spec();
  auto made = create(source);
  if (stood_still)
    REQUIRE(group_of(source.id).freeze(std::chrono::steady_clock::now() + 5s));
  auto layer = make_layer_id();
  auto server = ::fork();
  if (server == 0) {
    static_cast<void>(driver().copy_layer(source.id, layer)); // ends in SIGKILL
    ::_exit(1);
  }
  REQUIRE(eventually([&] { return std::filesystem::exists(stuck.copier + ".started"); }));
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  CHECK(group_of(source.id).frozen());

  restart();
  CHECK(driver().attach(source.id));
  CHECK(group_of(source.id).frozen()); // whether it should be, its owner's record knows
  CHECK(driver().resume(source.id));
  CHECK_FALSE(std::filesystem::exists(files(source.id).copying));
  CHECK(driver().layers()->size() == 1); // half of it: the owner's to remove
  CHECK(driver().remove_layer(layer));
  CHECK(output_of(made, "echo alive") == "alive\n");
}
