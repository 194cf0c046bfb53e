// What every driver promises (runtime/driver.hpp), with a real one.

#include "tests/runtime/driver_machine.hpp"
#include "tests/runtime/inside.hpp"

#include "runtime/process.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

bool ended(const instance& which) {
  pollfd item{which.init.get(), POLLIN, 0};
  return ::poll(&item, 1, 0) == 1;
}

std::string output_of(const instance& where, const std::string& script) {
  auto ran = run_inside(where, script);
  INFO(script << '\n' << ran.errors);
  REQUIRE(ran.failure == "");
  return ran.output;
}

bool started(const instance& where, const std::string& script, int group) {
  return start_inside(where, script, group).failure.empty();
}

} // namespace

TEST_CASE_METHOD(any_machine, "a sandbox is made, found again and destroyed", "[privileged][conformance]") {
  auto about = spec();
  auto made = create(about);
  CHECK(made.init_pid > 1);
  CHECK(process_start_ticks(made.init_pid) == made.init_start_ticks);
  CHECK_FALSE(ended(made));
  CHECK(output_of(made, "echo hello from $$ of $(id -u)").starts_with("hello from "));

  auto again = driver().attach(about.id);
  REQUIRE(again);
  CHECK(again->init_pid == made.init_pid);
  CHECK(again->init_start_ticks == made.init_start_ticks);
  CHECK(again->guest_socket == made.guest_socket);

  REQUIRE(driver().destroy(about.id));
  CHECK(ended(made));
  CHECK(traces() == std::vector<std::string>{});
  CHECK(driver().destroy(about.id)); // idempotent
  CHECK(code_of(driver().attach(about.id).error()) == errc::sandbox_not_found);
  CHECK(code_of(driver().stats(about.id).error()) == errc::sandbox_not_found);
  CHECK(code_of(driver().set_limits(about.id, about.limits).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(any_machine, "living sandboxes are listed", "[privileged][conformance]") {
  auto listed = [&] { return *driver().list(); };
  CHECK(listed().empty());
  auto first = spec(), second = spec();
  create(first);
  create(second);
  std::vector<sandbox_id> both{first.id, second.id};
  std::sort(both.begin(), both.end());
  CHECK(listed() == both);
  REQUIRE(driver().destroy(first.id));
  CHECK(listed() == std::vector<sandbox_id>{second.id});
  REQUIRE(driver().destroy(second.id));
  CHECK(listed().empty());
}

TEST_CASE_METHOD(any_machine, "what cannot be made is refused", "[privileged][conformance]") {
  auto about = spec();
  for (auto image : {"no-such-image", "", "../basic", "basic/rootfs", "Basic"}) {
    about.image = image;
    INFO(image);
    CHECK(code_of(driver().create(about).error()) == errc::image_not_found);
  }
  about = spec();
  about.id.value = "../../etc";
  CHECK(code_of(driver().create(about).error()) == errc::invalid_argument);
  CHECK_FALSE(driver().destroy(about.id));
  CHECK(code_of(driver().attach(about.id).error()) == errc::sandbox_not_found);
  CHECK(traces() == std::vector<std::string>{});

  // A taken id is refused and its owner is not harmed.
  about = spec();
  auto made = create(about);
  CHECK(code_of(driver().create(about).error()) == errc::conflict);
  CHECK(output_of(made, "echo alive") == "alive\n");
  REQUIRE(driver().destroy(about.id));
}

TEST_CASE_METHOD(any_machine, "neighbours see nothing of each other", "[privileged][conformance]") {
  auto first = spec(), second = spec();
  auto one = create(first), other = create(second);
  CHECK(output_of(one, "echo secret > /root/file; echo changed > /etc/os-release; cat /root/file") ==
        "secret\n");
  CHECK(output_of(other, "cat /root/file 2>/dev/null; grep -c changed /etc/os-release") == "0\n");
  REQUIRE(driver().destroy(first.id));
  CHECK(output_of(other, "echo alive") == "alive\n");
  REQUIRE(driver().destroy(second.id));
}

TEST_CASE_METHOD(any_machine, "ports are reached inside the sandbox's network", "[privileged][conformance]") {
  auto about = spec(), neighbour = spec();
  auto made = create(about), other = create(neighbour);
  CHECK(code_of(driver().connect(made, 8000).error()) == errc::upstream_error);
  auto serve = [](const char* address) {
    return std::string{"setsid python3 -c \"import socket\ns=socket.create_server(('"} + address +
           "',8000),family=socket." + (std::string_view{address} == "::1" ? "AF_INET6" : "AF_INET") +
           ")\nopen('/tmp/up','w').close()\nc=s.accept()[0]\nc.sendall(c.recv(9)+b'!')\" >/dev/null 2>&1 & "
           "while [ ! -e /tmp/up ]; do sleep 0.01; done; rm /tmp/up";
  };
  for (auto address : {"127.0.0.1", "::1"}) {
    INFO(address);
    output_of(made, serve(address));
    auto socket = driver().connect(made, 8000);
    REQUIRE(socket);
    REQUIRE(::send(socket->get(), "ping", 4, MSG_NOSIGNAL) == 4);
    pollfd item{socket->get(), POLLIN, 0};
    REQUIRE(::poll(&item, 1, 5000) == 1);
    char answer[16];
    REQUIRE(::recv(socket->get(), answer, sizeof answer, 0) == 5);
    CHECK(std::string_view(answer, 5) == "ping!");
    CHECK(code_of(driver().connect(other, 8000).error()) == errc::upstream_error);
  }
  REQUIRE(driver().destroy(about.id));
  CHECK_FALSE(driver().connect(made, 8000));
  REQUIRE(driver().destroy(neighbour.id));
}

TEST_CASE_METHOD(any_machine, "a socket listens inside the sandbox's network, and there alone",
                 "[privileged][conformance]") {
  auto about = spec(), neighbour = spec();
  auto made = create(about), other = create(neighbour);
  auto listener = driver().listen(made, 7330);
  REQUIRE(listener);
  CHECK((::fcntl(listener->get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(listener->get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(code_of(driver().listen(made, 7330).error()) == errc::conflict);
  CHECK(driver().listen(other, 7330)); // a port of its own

  const std::string hello =
      "exec 3<>/dev/tcp/127.0.0.1/7330 && echo hello >&3 && read -r answer <&3 && echo \"$answer\"";
  std::thread answering{[&] {
    pollfd item{listener->get(), POLLIN, 0};
    if (::poll(&item, 1, 5000) != 1)
      return;
    unique_fd client{::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC)};
    char text[16];
    if (::recv(client.get(), text, 6, MSG_WAITALL) == 6)
      ::send(client.get(), "welcome\n", 8, MSG_NOSIGNAL);
  }};
  CHECK(output_of(made, "bash -c '" + hello + "'") == "welcome\n");
  answering.join();
  CHECK(output_of(other, "bash -c '" + hello + "' 2>/dev/null; echo $?") == "1\n");

  // A listener does not stop the end; afterwards there is nothing to listen in.
  REQUIRE(driver().destroy(about.id));
  CHECK(code_of(driver().listen(made, 7331).error()) == errc::sandbox_ended);
  REQUIRE(driver().destroy(neighbour.id));
  CHECK(traces() == std::vector<std::string>{});
}

TEST_CASE_METHOD(any_machine, "use is counted and limits can change", "[privileged][conformance]") {
  auto about = spec();
  auto made = create(about);
  auto before = driver().stats(about.id);
  REQUIRE(before);
  CHECK(before->pids == 1);
  CHECK(before->memory_bytes > 0);
  output_of(made, "head -c 8M /dev/urandom > /root/data; sync");
  auto after = driver().stats(about.id);
  REQUIRE(after);
  CHECK(after->cpu_usec > before->cpu_usec);
  CHECK(after->disk_bytes >= before->disk_bytes + (8u << 20));
  CHECK(after->disk_bytes < before->disk_bytes + (9u << 20));
  CHECK(after->oom_kills == 0);
  REQUIRE(driver().set_limits(about.id, {0, 0, 5, 0}));
  auto forked =
      output_of(made, "exec python3 -c \"\nimport os, signal\nchildren = []\ntry:\n"
                      "  while True:\n    children.append(os.fork())\n    children[-1] or signal.pause()\n"
                      "except OSError as e: print(e.errno, len(children))\n"
                      "for c in children: os.kill(c, 9)\"");
  CHECK(forked == "11 3\n"); // EAGAIN, with the guest, the parent and three children
  for (std::uint64_t mebibytes : {512, 64}) {
    REQUIRE(driver().set_limits(about.id, {mebibytes << 20, 500, 64, 0}));
    auto hog = "python3 -c \"x=b'x'*(" + std::to_string(mebibytes / 2) + "<<20)\"; echo $?";
    CHECK(output_of(made, hog) == "0\n");
  }
  REQUIRE(driver().destroy(about.id));
}

TEST_CASE_METHOD(any_machine, "a paused sandbox stands still, goes on, and ends",
                 "[privileged][conformance]") {
  auto about = spec(), neighbour = spec();
  auto made = create(about), other = create(neighbour);
  auto cpu = [&] { return driver().stats(about.id)->cpu_usec; };
  output_of(made, "setsid sh -c 'while :; do :; done' >/dev/null 2>&1 &");
  CHECK(driver().quiet_time(made));
  CHECK(driver().resume(about.id)); // of one that runs: nothing happens

  for (int round = 0; round < 3; ++round) {
    REQUIRE(driver().pause(about.id));
    CHECK(driver().pause(about.id)); // idempotent
    auto used = cpu();
    CHECK(output_of(other, "for i in $(seq 20000); do :; done; echo done") == "done\n");
    CHECK(cpu() == used); // nothing in it ran meanwhile
    auto found = driver().attach(about.id);
    REQUIRE(found); // although nobody in there answers
    CHECK(found->init_pid == made.init_pid);
    REQUIRE(driver().resume(about.id));
    while (cpu() == used) {
    }
    CHECK(driver().verify(about.id, made));
    CHECK(output_of(made, "echo alive") == "alive\n");
  }

  REQUIRE(driver().pause(about.id));
  REQUIRE(driver().destroy(about.id));
  CHECK(ended(made));
  REQUIRE(driver().destroy(neighbour.id));
  CHECK(traces() == std::vector<std::string>{});
  for (const auto& id : {about.id, sandbox_id{"../../etc"}}) {
    CHECK(code_of(driver().pause(id).error()) == errc::sandbox_not_found);
    CHECK(code_of(driver().resume(id).error()) == errc::sandbox_not_found);
  }
}

TEST_CASE_METHOD(any_machine, "a group of processes ends as one, wherever they hide",
                 "[privileged][conformance]") {
  auto about = spec();
  auto made = create(about);
  auto sleepers = [&] {
    return output_of(made,
                     "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; echo; done 2>/dev/null | "
                     "grep -o '^sleep [0-9]*' | sort");
  };
  auto until = [&](const std::string& wanted) {
    for (int i = 0; i < 1000 && sleepers() != wanted; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    CHECK(sleepers() == wanted);
  };
  auto group_of = [&](const std::string& name) {
    auto group = driver().make_group(about.id, name);
    if (!group)
      FAIL(text_of(group.error()));
    return std::move(*group);
  };
  // Another session, no parent, no environment: whatever it does, it stays in its group.
  const std::string hide = "(setsid env -i sleep 1001 & setsid env -i sh -c 'sleep 1002 & sleep 1003' &); ";
  output_of(made, "setsid sleep 1000 >/dev/null 2>&1 &");
  auto one = make_sandbox_id().value, two = make_sandbox_id().value;
  auto first = group_of(one);
  REQUIRE(started(made, hide + "exec sleep 1004", first.get()));
  until("sleep 1000\nsleep 1001\nsleep 1002\nsleep 1003\nsleep 1004\n");

  SECTION("its end is the end of all in it, and of nothing else") {
    REQUIRE(driver().end_group(about.id, one));
    CHECK(sleepers() == "sleep 1000\n");
    CHECK(driver().end_group(about.id, one)); // idempotent
    CHECK_FALSE(started(made, "sleep 1005", first.get()));
    CHECK(sleepers() == "sleep 1000\n");
  }
  SECTION("what is in a paused sandbox dies when it goes on") {
    REQUIRE(driver().pause(about.id));
    auto ended = driver().end_group(about.id, one);
    CHECK(driver().attach(about.id)); // paused it still is
    REQUIRE(driver().resume(about.id));
    CHECK((ended || code_of(ended.error()) == errc::sandbox_failed));
    until("sleep 1000\n");
    CHECK(driver().end_group(about.id, one));
  }
  SECTION("groups end with their sandbox, also one that is paused") {
    auto second = group_of(two);
    REQUIRE(driver().pause(about.id));
  }
  SECTION("those that are left empty go, and those in use stay") {
    auto groups = [&] {
      auto all = traces();
      return std::count_if(all.begin(), all.end(),
                           [](const std::string& each) { return each.starts_with("control group"); });
    };
    auto before = groups();
    for (int i = 0; i < 50; ++i) {
      auto each = group_of(make_sandbox_id().value);
      REQUIRE(started(made, "true", each.get()));
      until("sleep 1000\nsleep 1001\nsleep 1002\nsleep 1003\nsleep 1004\n");
    }
    auto used = driver().stats(about.id);
    REQUIRE(used);
    CHECK(used->pids < 20);
    CHECK(groups() == before + 50);
    REQUIRE(driver().remove_empty_groups(about.id));
    CHECK(groups() == before);
    REQUIRE(driver().end_group(about.id, one));
    CHECK(sleepers() == "sleep 1000\n");
  }
  CHECK(code_of(driver().make_group(about.id, "../x").error()) == errc::invalid_argument);
  CHECK(code_of(driver().end_group(about.id, "..").error()) == errc::invalid_argument);
  REQUIRE(driver().destroy(about.id));
  CHECK(ended(made));
  CHECK(traces() == std::vector<std::string>{});
  CHECK(code_of(driver().make_group(about.id, two).error()) == errc::sandbox_ended);
  CHECK(driver().end_group(about.id, two));
  CHECK(driver().remove_empty_groups(about.id));
}

TEST_CASE_METHOD(any_machine, "many are made at once", "[privileged][conformance]") {
  constexpr int count = 12;
  std::vector<sandbox_spec> specs;
  for (int i = 0; i < count; ++i)
    specs.push_back(spec());
  std::vector<std::string> failures(count);
  auto all = [&](auto action) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < specs.size(); ++i)
      threads.emplace_back([&, i] { failures[i] = action(specs[i]); });
    for (auto& thread : threads)
      thread.join();
    for (const auto& failure : failures)
      CHECK(failure == "");
  };
  all([&](const sandbox_spec& each) {
    auto made = driver().create(each);
    return made ? std::string{} : text_of(made.error());
  });
  CHECK(driver().list()->size() == count);
  all([&](const sandbox_spec& each) {
    auto done = driver().destroy(each.id);
    return done ? std::string{} : text_of(done.error());
  });
  CHECK(traces() == std::vector<std::string>{});
}

TEST_CASE_METHOD(any_machine, "sandboxes outlive the server and the next one finds them",
                 "[privileged][conformance]") {
  auto wanted = spec();
  auto made = create(wanted);
  output_of(made, "echo kept > /root/file");
  restart();
  CHECK(*driver().list() == std::vector<sandbox_id>{wanted.id});
  auto found = driver().attach(wanted.id);
  REQUIRE(found);
  CHECK(found->init_pid == made.init_pid);
  CHECK(output_of(*found, "cat /root/file") == "kept\n");
}
