#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

/// A sandbox with a neighbour, which has to stay unharmed.
struct two_sandboxes : machine {
  two_sandboxes()
      : own_spec(spec())
      , neighbour_spec(spec())
      , own(create(own_spec))
      , neighbour(create(neighbour_spec)) {}

  void check_unharmed() {
    CHECK(run_inside(own, "echo alive").output == "alive\n");
    CHECK(run_inside(neighbour, "echo alive").output == "alive\n");
  }

  sandbox_spec own_spec, neighbour_spec;
  instance own, neighbour;
};

} // namespace

TEST_CASE_METHOD(two_sandboxes, "a fork bomb fills its own sandbox only", "[privileged]") {
  REQUIRE(start_inside(own, "bomb() { bomb | bomb & }; while :; do bomb 2>/dev/null; done").failure == "");
  // The bomb is at its limit when the kernel counts as many processes as are allowed.
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  std::uint32_t most = 0;
  while (most < own_spec.limits.pids && std::chrono::steady_clock::now() < deadline)
    most = std::max(most, driver().stats(own_spec.id)->pids);
  CHECK(most == own_spec.limits.pids);
  CHECK(run_inside(neighbour, "for i in 1 2 3 4 5; do true & done; wait; echo alive").output == "alive\n");
  CHECK(driver().destroy(own_spec.id));
}

TEST_CASE_METHOD(two_sandboxes, "a process that takes too much memory is killed, and the guest is not",
                 "[privileged]") {
  auto ran = run_inside(own, "python3 -c \"x = bytearray(600 << 20)\"");
  CHECK(ran.exit_code == 137);
  CHECK(driver().stats(own_spec.id)->oom_kills >= 1);
  CHECK(driver().stats(neighbour_spec.id)->oom_kills == 0);
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "files in memory are bounded, in bytes and in number", "[privileged]") {
  auto ran = run_inside(own, "head -c 1G /dev/zero > /tmp/big; head -c 1G /dev/zero > /dev/shm/big; "
                             "head -c 1M /dev/zero > /dev/big; "
                             "python3 -c \"\nfor d in ('/tmp', '/dev/shm', '/dev'):\n"
                             "  try:\n    for i in range(10**6): open(f'{d}/{i}', 'w').close()\n"
                             "  except OSError as e: print(d, e.errno)\"");
  INFO(ran.errors);
  CHECK(ran.output == "/tmp 28\n/dev/shm 28\n/dev 28\n");
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "files in memory and a hungry process together do not end the sandbox",
                 "[privileged]") {
  auto ran = run_inside(own, "head -c 1G /dev/zero > /tmp/big; head -c 1G /dev/zero > /dev/shm/big; "
                             "python3 -c \"x = bytearray(600 << 20)\"; echo $?");
  CHECK(ran.output == "137\n");
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "shared memory segments do not outlive their processes", "[privileged]") {
  auto ran = run_inside(
      own, "python3 -c \"\nimport ctypes\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"
           "for i in range(1000):\n"
           "  segment = libc.shmget(0, 16 << 20, 0o1600)\n  if segment < 0: break\n"
           "  ctypes.memset(libc.shmat(segment, None, 0), 1, 16 << 20)\nprint(i)\"; "
           "cat /proc/sysvipc/shm | wc -l");
  INFO(ran.errors);
  CHECK(ran.output == "2\n1\n"); // two fit in an eighth of the memory; after that only the heading is listed
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "semaphores and message queues left behind do not end the sandbox",
                 "[privileged]") {
  auto ran =
      run_inside(own, "python3 -c \"\nimport ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
                      "for make in (lambda: libc.semget(0, 250, 0o1600), lambda: libc.msgget(0, 0o1600)):\n"
                      "  made = 0\n  while make() >= 0: made += 1\n  print(made, ctypes.get_errno())\"");
  INFO(ran.errors);
  CHECK(ran.output == "32 28\n256 28\n");
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "the disk is bounded in bytes", "[privileged]") {
  auto ran = run_inside(
      own,
      "head -c 100M /dev/zero > /root/big; echo $?; wc -c < /root/big; rm /root/big; echo x > /root/small");
  INFO(ran.errors);
  CHECK(ran.exit_code == 0);
  CHECK(ran.errors.find("No space left on device") != std::string::npos);
  auto written = std::stoull(ran.output.substr(2));
  CHECK(written > own_spec.limits.disk_bytes * 9 / 10);
  CHECK(written <= own_spec.limits.disk_bytes);
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "the disk is bounded in files", "[privileged]") {
  auto ran = run_inside(own, "python3 -c \"\nimport os\nos.mkdir('/root/many')\ntry:\n"
                             "  for i in range(10**6): open(f'/root/many/{i}', 'w').close()\n"
                             "except OSError as e: print(e.errno, i < 10000)\"");
  INFO(ran.errors);
  CHECK(ran.output == "28 True\n");
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "a huge sparse file takes no more than the disk has", "[privileged]") {
  auto ran = run_inside(own, "truncate -s 1T /root/sparse; head -c 100M /dev/zero | dd of=/root/sparse bs=1M "
                             "conv=notrunc 2>/dev/null; "
                             "du -m /root/sparse | cut -f1; rm /root/sparse");
  INFO(ran.errors);
  CHECK(std::stoul(ran.output) <= own_spec.limits.disk_bytes >> 20);
  check_unharmed();
}

TEST_CASE_METHOD(two_sandboxes, "the share of a core is what was asked for", "[privileged]") {
  REQUIRE(driver().set_limits(own_spec.id, {0, 200, 0, 0}));
  auto before = driver().stats(own_spec.id)->cpu_usec;
  auto ran =
      run_inside(own, "timeout 1 sh -c 'while :; do :; done' & timeout 1 sh -c 'while :; do :; done'; wait");
  auto used = driver().stats(own_spec.id)->cpu_usec - before;
  CHECK(ran.failure == "");
  CHECK(used < 400'000); // 0.2 of a second, and a period more at either end
  CHECK(used > 20'000);
}

TEST_CASE_METHOD(two_sandboxes, "descriptors and terminals run out inside, not outside", "[privileged]") {
  auto ran = run_inside(
      own, "python3 -c \"\nimport os\nfor make in (lambda: os.open('/dev/null', 0), os.openpty):\n"
           "  held = []\n  try:\n    while True: held.append(make())\n"
           "  except OSError as e: print(e.errno)\n"
           "  for h in held:\n    for fd in (h if isinstance(h, tuple) else (h,)): os.close(fd)\"");
  INFO(ran.errors);
  CHECK((ran.output == "24\n24\n" || ran.output == "24\n28\n"));
  check_unharmed();
}
