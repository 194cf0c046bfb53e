#include "tests/runtime/conformance.hpp"

#include "runtime/process.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

namespace sandy::test {

using namespace sandy::runtime;

namespace {

instance must_create(const conformance_subject& subject, const sandbox_spec& spec) {
  auto made = subject.driver->create(spec);
  if (!made)
    FAIL(text_of(made.error()));
  return std::move(*made);
}

bool ended(const instance& which) {
  pollfd item{which.init.get(), POLLIN, 0};
  return ::poll(&item, 1, 0) == 1;
}

} // namespace

void check_life_cycle(const conformance_subject& subject) {
  auto spec = subject.spec();
  auto made = must_create(subject, spec);
  CHECK(made.init_pid > 1);
  CHECK(process_start_ticks(made.init_pid) == made.init_start_ticks);
  CHECK_FALSE(ended(made));
  CHECK(subject.output_of(made, "echo hello from $$ of $(id -u)").starts_with("hello from "));

  auto again = subject.driver->attach(spec.id);
  REQUIRE(again);
  CHECK(again->init_pid == made.init_pid);
  CHECK(again->init_start_ticks == made.init_start_ticks);
  CHECK(again->guest_socket == made.guest_socket);

  REQUIRE(subject.driver->destroy(spec.id));
  CHECK(ended(made));
  CHECK(subject.traces() == std::vector<std::string>{});
  CHECK(subject.driver->destroy(spec.id)); // idempotent
  CHECK(code_of(subject.driver->attach(spec.id).error()) == errc::sandbox_not_found);
  CHECK(code_of(subject.driver->stats(spec.id).error()) == errc::sandbox_not_found);
  CHECK(code_of(subject.driver->set_limits(spec.id, spec.limits).error()) == errc::sandbox_not_found);
}

void check_listing(const conformance_subject& subject) {
  auto listed = [&] { return *subject.driver->list(); };
  CHECK(listed().empty());
  auto first = subject.spec(), second = subject.spec();
  must_create(subject, first);
  must_create(subject, second);
  std::vector<sandbox_id> both{first.id, second.id};
  std::sort(both.begin(), both.end());
  CHECK(listed() == both);
  REQUIRE(subject.driver->destroy(first.id));
  CHECK(listed() == std::vector<sandbox_id>{second.id});
  REQUIRE(subject.driver->destroy(second.id));
  CHECK(listed().empty());
}

void check_refusals(const conformance_subject& subject) {
  auto spec = subject.spec();
  for (auto image : {"no-such-image", "", "../basic", "basic/rootfs", "Basic"}) {
    spec.image = image;
    INFO(image);
    CHECK(code_of(subject.driver->create(spec).error()) == errc::image_not_found);
  }
  spec = subject.spec();
  spec.id.value = "../../etc";
  CHECK(code_of(subject.driver->create(spec).error()) == errc::invalid_argument);
  CHECK_FALSE(subject.driver->destroy(spec.id));
  CHECK(code_of(subject.driver->attach(spec.id).error()) == errc::sandbox_not_found);
  CHECK(subject.traces() == std::vector<std::string>{});

  // A taken id is refused and its owner is not harmed.
  spec = subject.spec();
  auto made = must_create(subject, spec);
  CHECK(code_of(subject.driver->create(spec).error()) == errc::conflict);
  CHECK(subject.output_of(made, "echo alive") == "alive\n");
  REQUIRE(subject.driver->destroy(spec.id));
}

void check_isolation_from_neighbours(const conformance_subject& subject) {
  auto first = subject.spec(), second = subject.spec();
  auto one = must_create(subject, first), other = must_create(subject, second);
  CHECK(subject.output_of(one, "echo secret > /root/file; echo changed > /etc/os-release; cat /root/file") ==
        "secret\n");
  CHECK(subject.output_of(other, "cat /root/file 2>/dev/null; grep -c changed /etc/os-release") == "0\n");
  REQUIRE(subject.driver->destroy(first.id));
  CHECK(subject.output_of(other, "echo alive") == "alive\n");
  REQUIRE(subject.driver->destroy(second.id));
}

void check_ports(const conformance_subject& subject) {
  auto spec = subject.spec(), neighbour = subject.spec();
  auto made = must_create(subject, spec), other = must_create(subject, neighbour);
  CHECK(code_of(subject.driver->connect(made, 8000).error()) == errc::upstream_error);
  auto serve = [](const char* address) {
    return std::string{"setsid python3 -c \"import socket\ns=socket.create_server(('"} + address +
           "',8000),family=socket." + (std::string_view{address} == "::1" ? "AF_INET6" : "AF_INET") +
           ")\nopen('/tmp/up','w').close()\nc=s.accept()[0]\nc.sendall(c.recv(9)+b'!')\" >/dev/null 2>&1 & "
           "while [ ! -e /tmp/up ]; do sleep 0.01; done; rm /tmp/up";
  };
  for (auto address : {"127.0.0.1", "::1"}) {
    INFO(address);
    subject.output_of(made, serve(address));
    auto socket = subject.driver->connect(made, 8000);
    REQUIRE(socket);
    REQUIRE(::send(socket->get(), "ping", 4, MSG_NOSIGNAL) == 4);
    pollfd item{socket->get(), POLLIN, 0};
    REQUIRE(::poll(&item, 1, 5000) == 1);
    char answer[16];
    REQUIRE(::recv(socket->get(), answer, sizeof answer, 0) == 5);
    CHECK(std::string_view(answer, 5) == "ping!");
    CHECK(code_of(subject.driver->connect(other, 8000).error()) == errc::upstream_error);
  }
  REQUIRE(subject.driver->destroy(spec.id));
  CHECK_FALSE(subject.driver->connect(made, 8000));
  REQUIRE(subject.driver->destroy(neighbour.id));
}

void check_listening(const conformance_subject& subject) {
  auto spec = subject.spec(), neighbour = subject.spec();
  auto made = must_create(subject, spec), other = must_create(subject, neighbour);
  auto listener = subject.driver->listen(made, 7330);
  REQUIRE(listener);
  CHECK((::fcntl(listener->get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(listener->get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(code_of(subject.driver->listen(made, 7330).error()) == errc::conflict);
  CHECK(subject.driver->listen(other, 7330)); // a port of its own

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
  CHECK(subject.output_of(made, "bash -c '" + hello + "'") == "welcome\n");
  answering.join();
  CHECK(subject.output_of(other, "bash -c '" + hello + "' 2>/dev/null; echo $?") == "1\n");

  // A listener does not stop the end; afterwards there is nothing to listen in.
  REQUIRE(subject.driver->destroy(spec.id));
  CHECK(code_of(subject.driver->listen(made, 7331).error()) == errc::sandbox_ended);
  REQUIRE(subject.driver->destroy(neighbour.id));
  CHECK(subject.traces() == std::vector<std::string>{});
}

void check_stats_and_limits(const conformance_subject& subject) {
  auto spec = subject.spec();
  auto made = must_create(subject, spec);
  auto before = subject.driver->stats(spec.id);
  REQUIRE(before);
  CHECK(before->pids == 1);
  CHECK(before->memory_bytes > 0);
  subject.output_of(made, "head -c 8M /dev/urandom > /root/data; sync");
  auto after = subject.driver->stats(spec.id);
  REQUIRE(after);
  CHECK(after->cpu_usec > before->cpu_usec);
  CHECK(after->disk_bytes >= before->disk_bytes + (8u << 20));
  CHECK(after->disk_bytes < before->disk_bytes + (9u << 20));
  CHECK(after->oom_kills == 0);
  REQUIRE(subject.driver->set_limits(spec.id, {0, 0, 5, 0}));
  auto forked = subject.output_of(
      made, "exec python3 -c \"\nimport os, signal\nchildren = []\ntry:\n"
            "  while True:\n    children.append(os.fork())\n    children[-1] or signal.pause()\n"
            "except OSError as e: print(e.errno, len(children))\n"
            "for c in children: os.kill(c, 9)\"");
  CHECK(forked == "11 3\n"); // EAGAIN, with the guest, the parent and three children
  for (std::uint64_t mebibytes : {512, 64}) {
    REQUIRE(subject.driver->set_limits(spec.id, {mebibytes << 20, 500, 64, 0}));
    auto hog = "python3 -c \"x=b'x'*(" + std::to_string(mebibytes / 2) + "<<20)\"; echo $?";
    CHECK(subject.output_of(made, hog) == "0\n");
  }
  REQUIRE(subject.driver->destroy(spec.id));
}

void check_pausing(const conformance_subject& subject) {
  auto spec = subject.spec(), neighbour = subject.spec();
  auto made = must_create(subject, spec), other = must_create(subject, neighbour);
  auto& driver = *subject.driver;
  auto cpu = [&] { return driver.stats(spec.id)->cpu_usec; };
  subject.output_of(made, "setsid sh -c 'while :; do :; done' >/dev/null 2>&1 &");
  CHECK(driver.quiet_time(made));
  CHECK(driver.resume(spec.id)); // of one that runs: nothing happens

  for (int round = 0; round < 3; ++round) {
    REQUIRE(driver.pause(spec.id));
    CHECK(driver.pause(spec.id)); // idempotent
    auto used = cpu();
    CHECK(subject.output_of(other, "for i in $(seq 20000); do :; done; echo done") == "done\n");
    CHECK(cpu() == used); // nothing in it ran meanwhile
    auto found = driver.attach(spec.id);
    REQUIRE(found); // although nobody in there answers
    CHECK(found->init_pid == made.init_pid);
    REQUIRE(driver.resume(spec.id));
    while (cpu() == used) {
    }
    CHECK(driver.verify(spec.id, made));
    CHECK(subject.output_of(made, "echo alive") == "alive\n");
  }

  REQUIRE(driver.pause(spec.id));
  REQUIRE(driver.destroy(spec.id));
  CHECK(ended(made));
  REQUIRE(driver.destroy(neighbour.id));
  CHECK(subject.traces() == std::vector<std::string>{});
  for (const auto& id : {spec.id, sandbox_id{"../../etc"}}) {
    CHECK(code_of(driver.pause(id).error()) == errc::sandbox_not_found);
    CHECK(code_of(driver.resume(id).error()) == errc::sandbox_not_found);
  }
}

void check_groups(const conformance_subject& subject) {
  auto spec = subject.spec();
  auto made = must_create(subject, spec);
  auto& driver = *subject.driver;
  auto sleepers = [&] {
    return subject.output_of(
        made, "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; echo; done 2>/dev/null | "
              "grep -o '^sleep [0-9]*' | sort");
  };
  auto until = [&](const std::string& wanted) {
    for (int i = 0; i < 1000 && sleepers() != wanted; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    CHECK(sleepers() == wanted);
  };
  auto group_of = [&](const std::string& name) {
    auto group = driver.make_group(spec.id, name);
    if (!group)
      FAIL(text_of(group.error()));
    return std::move(*group);
  };
  // Another session, no parent, no environment: whatever it does, it stays in its group.
  const std::string hide = "(setsid env -i sleep 1001 & setsid env -i sh -c 'sleep 1002 & sleep 1003' &); ";
  subject.output_of(made, "setsid sleep 1000 >/dev/null 2>&1 &");
  auto one = make_sandbox_id().value, two = make_sandbox_id().value;
  auto first = group_of(one);
  REQUIRE(subject.start(made, hide + "exec sleep 1004", first.get()));
  until("sleep 1000\nsleep 1001\nsleep 1002\nsleep 1003\nsleep 1004\n");

  SECTION("its end is the end of all in it, and of nothing else") {
    REQUIRE(driver.end_group(spec.id, one));
    CHECK(sleepers() == "sleep 1000\n");
    CHECK(driver.end_group(spec.id, one)); // idempotent
    CHECK_FALSE(subject.start(made, "sleep 1005", first.get()));
    CHECK(sleepers() == "sleep 1000\n");
  }
  SECTION("what is in a paused sandbox dies when it goes on") {
    REQUIRE(driver.pause(spec.id));
    auto ended = driver.end_group(spec.id, one);
    CHECK(driver.attach(spec.id)); // paused it still is
    REQUIRE(driver.resume(spec.id));
    CHECK((ended || code_of(ended.error()) == errc::sandbox_failed));
    until("sleep 1000\n");
    CHECK(driver.end_group(spec.id, one));
  }
  SECTION("groups end with their sandbox, also one that is paused") {
    auto second = group_of(two);
    REQUIRE(driver.pause(spec.id));
  }
  SECTION("those that are left empty go, and those in use stay") {
    auto groups = [&] {
      auto all = subject.traces();
      return std::count_if(all.begin(), all.end(),
                           [](const std::string& each) { return each.starts_with("control group"); });
    };
    auto before = groups();
    for (int i = 0; i < 50; ++i) {
      auto each = group_of(make_sandbox_id().value);
      REQUIRE(subject.start(made, "true", each.get()));
      until("sleep 1000\nsleep 1001\nsleep 1002\nsleep 1003\nsleep 1004\n");
    }
    auto used = driver.stats(spec.id);
    REQUIRE(used);
    CHECK(used->pids < 20);
    CHECK(groups() == before + 50);
    REQUIRE(driver.remove_empty_groups(spec.id));
    CHECK(groups() == before);
    REQUIRE(driver.end_group(spec.id, one));
    CHECK(sleepers() == "sleep 1000\n");
  }
  CHECK(code_of(driver.make_group(spec.id, "../x").error()) == errc::invalid_argument);
  CHECK(code_of(driver.end_group(spec.id, "..").error()) == errc::invalid_argument);
  REQUIRE(driver.destroy(spec.id));
  CHECK(ended(made));
  CHECK(subject.traces() == std::vector<std::string>{});
  CHECK(code_of(driver.make_group(spec.id, two).error()) == errc::sandbox_ended);
  CHECK(driver.end_group(spec.id, two));
  CHECK(driver.remove_empty_groups(spec.id));
}

void check_parallel_creation(const conformance_subject& subject) {
  constexpr int count = 12;
  std::vector<sandbox_spec> specs;
  for (int i = 0; i < count; ++i)
    specs.push_back(subject.spec());
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
  all([&](const sandbox_spec& spec) {
    auto made = subject.driver->create(spec);
    return made ? std::string{} : text_of(made.error());
  });
  CHECK(subject.driver->list()->size() == count);
  all([&](const sandbox_spec& spec) {
    auto done = subject.driver->destroy(spec.id);
    return done ? std::string{} : text_of(done.error());
  });
  CHECK(subject.traces() == std::vector<std::string>{});
}

} // namespace sandy::test
