#include "tests/runtime/docker_machine.hpp"
#include "tests/runtime/inside.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

std::unique_ptr<driver_machine> sandy::test::make_driver_machine() {
  return std::make_unique<docker_machine>();
}

TEST_CASE_METHOD(docker_machine, "docker: what a sandbox sees of its own making", "[privileged]") {
  auto made = create(spec());
  auto output = [&](const std::string& script) { return run_inside(made, script).output; };
  // Nothing leads to the guest's socket, and no mount names a path of the server's.
  CHECK(output("ls -A /.sandy") == "");
  CHECK(output("grep -c " + options().data_dir + " /proc/self/mountinfo") == "0\n");
  // The files are its own, and can be replaced as files are.
  CHECK(output("cat /etc/hostname; hostname") == "sandbox\nsandbox\n");
  CHECK(output("cat /etc/resolv.conf") == "nameserver 127.83.255.253\n");
  CHECK(output("cp /etc/hosts /tmp/hosts && mv /tmp/hosts /etc/hosts && grep -c localhost /etc/hosts") ==
        "2\n");
  CHECK(output("stat -c %a /workspace") == "755\n");
  CHECK(output("ls /sys/class/net") == "lo\n");
  CHECK(output("grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status") ==
        "CapEff:\t00000000000004fb\nCapBnd:\t00000000000004fb\nNoNewPrivs:\t1\nSeccomp:\t2\n");
  CHECK(run_inside(made, "mount -t tmpfs none /mnt").exit_code != 0);
  CHECK(run_inside(made, "echo x > /sys/fs/cgroup/file").exit_code != 0);
  CHECK(run_inside(made, "unshare --user true").exit_code != 0);
  // TIOCSTI is refused, also where the upper half of the request says something else; an engine that does not
  // know what to answer says EPERM.
  CHECK(
      output(
          "python3 -c \"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
          "for request in (0x5412, 0x541c, 0x100005412):\n"
          "  libc.syscall(16, 0, ctypes.c_long(request), b'x')\n  print(ctypes.get_errno() in (1, 38))\"") ==
      "True\nTrue\nTrue\n");
}

TEST_CASE_METHOD(docker_machine, "docker: what a sandbox wrote is kept as a layer for others",
                 "[privileged]") {
  auto wanted = spec();
  auto made = create(wanted);
  REQUIRE(
      run_inside(made,
                 "echo mine > /root/file; chown 1000:1000 /root/file; rm /etc/debian_version; mkdir /srv/new")
          .exit_code == 0);
  auto layer = make_layer_id();
  auto copied = driver().copy_layer(wanted.id, layer);
  REQUIRE(copied);
  CHECK(copied->below.value.empty());
  CHECK(run_inside(made, "echo alive").output == "alive\n"); // it stood still for a moment only
  CHECK(code_of(driver().copy_layer(wanted.id, layer).error()) == errc::conflict);

  auto above = spec();
  above.layer = layer;
  auto stacked = create(above);
  CHECK(run_inside(stacked,
                   "cat /root/file; stat -c %u /root/file; ls -d /srv/new /etc/debian_version 2>/dev/null")
            .output == "mine\n1000\n/srv/new\n");
  auto upper = make_layer_id();
  copied = driver().copy_layer(above.id, upper);
  REQUIRE(copied);
  CHECK(copied->below == layer);
  REQUIRE(driver().destroy(above.id));
  CHECK(code_of(driver().copy_layer(above.id, make_layer_id()).error()) == errc::sandbox_failed);
}

TEST_CASE_METHOD(docker_machine, "docker: images in the engine go when nobody needs them",
                 "[privileged][image-copies]") {
  auto wanted = spec();
  create(wanted);
  auto layer = make_layer_id();
  REQUIRE(driver().copy_layer(wanted.id, layer));
  auto above = spec();
  above.layer = layer;
  create(above);
  REQUIRE(driver().sweep_images());
  CHECK(engine().images(label()).size() == 2);
  REQUIRE(driver().destroy(above.id));
  REQUIRE(driver().remove_layer(layer));
  REQUIRE(driver().sweep_images());
  CHECK(engine().images(label()).size() == 1); // "basic" is there still

  // What somebody tidied away is made again.
  REQUIRE(driver().destroy(wanted.id));
  auto name = engine().images(label()).front();
  REQUIRE(docker::engine{engine().socket()}.ask("DELETE", "/images/" + name, nullptr,
                                                std::chrono::steady_clock::now() + std::chrono::seconds{60}));
  CHECK(engine().images(label()).empty());
  create(spec());
}

TEST_CASE_METHOD(docker_machine, "docker: what a server that was killed left half made is found and removed",
                 "[privileged]") {
  auto wanted = spec();
  create(wanted);
  auto box = options().data_dir + "/docker/sandboxes/" + wanted.id.value;
  SECTION("before it was known to run") {
    REQUIRE(::unlink((box + "/state.json").c_str()) == 0);
    CHECK(*driver().list() == std::vector<sandbox_id>{wanted.id});
    CHECK(code_of(driver().attach(wanted.id).error()) == errc::sandbox_not_found);
    REQUIRE(driver().destroy(wanted.id));
  }
  SECTION("after it was given up, by an engine that was slow") {
    REQUIRE(::rename(box.c_str(), (box + ".gone").c_str()) == 0);
    CHECK(driver().list()->empty());
    CHECK(engine().containers(label()).empty());
    REQUIRE(::rename((box + ".gone").c_str(), box.c_str()) == 0);
    REQUIRE(driver().destroy(wanted.id)); // of what has no container any more
  }
  CHECK(traces() == std::vector<std::string>{});
}

TEST_CASE_METHOD(docker_machine, "docker: an engine that is down is an error that passes", "[privileged]") {
  auto changed = options();
  changed.engine_socket = options().data_dir + "/nobody";
  restart(changed);
  auto refused = driver().create(spec());
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::capacity_exhausted);
  CHECK(retry_after_of(refused.error()) > 0);
  CHECK(text_of(refused.error()).find(options().data_dir) == std::string::npos); // clients read this
  CHECK(driver().list()->empty());
  CHECK(driver().sweep_images());
}

TEST_CASE_METHOD(docker_machine,
                 "docker: the engine's socket is inside where it is asked for, and nowhere else",
                 "[privileged]") {
  const std::string ask = "python3 -c \"import socket\ns = socket.socket(socket.AF_UNIX)\n"
                          "s.connect('/var/run/docker.sock')\ns.sendall(b'GET /_ping HTTP/1.0\\r\\n\\r\\n')\n"
                          "print(s.recv(15).decode())\"";
  CHECK(run_inside(create(spec()), ask).exit_code != 0);
  auto wanted = spec();
  wanted.docker_socket = true;
  auto made = create(wanted);
  CHECK(run_inside(made, ask).output == "HTTP/1.0 200 OK\n");
  auto found = driver().attach(wanted.id);
  REQUIRE(found);
  CHECK(found->variables == made.variables);
  std::string workspace;
  for (const auto& [name, value] : found->variables)
    if (name == "SANDY_HOST_VOLUME")
      workspace = value;
  REQUIRE(run_inside(made, "echo here > /workspace/file").exit_code == 0);
  CHECK(read_small_file(workspace + "/file") == "here\n");
}

TEST_CASE_METHOD(docker_machine, "docker: files that are as deep as a sandbox likes go with it",
                 "[privileged]") {
  auto wanted = spec();
  wanted.docker_socket = true; // its workspace is a directory of the host
  auto made = create(wanted);
  REQUIRE(run_inside(made, "cd /workspace && python3 -c \"import os\nfor i in range(5000):\n  os.mkdir('d')\n"
                           "  os.chdir('d')\"")
              .exit_code == 0);
  CHECK(driver().destroy(wanted.id));
}

TEST_CASE_METHOD(docker_machine, "docker: what a sandbox wrote is not measured every time that somebody asks",
                 "[privileged]") {
  auto changed = options();
  changed.size_age = std::chrono::minutes{10};
  restart(changed);
  auto wanted = spec();
  auto made = create(wanted);
  auto before = driver().stats(wanted.id);
  REQUIRE(before);
  REQUIRE(run_inside(made, "head -c 8M /dev/urandom > /root/data; sync").exit_code == 0);
  CHECK(driver().stats(wanted.id)->disk_bytes == before->disk_bytes);
  restart(); // where the number may not be old
  CHECK(driver().stats(wanted.id)->disk_bytes >= before->disk_bytes + (8u << 20));
}
