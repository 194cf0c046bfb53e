#include "tests/runtime/machine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <iostream>

namespace sandy::test {

using namespace sandy::runtime;

namespace {

std::vector<std::string> process_names() {
  auto names = names_in("/proc");
  std::erase_if(names, [](const std::string& name) {
    return name.find_first_not_of("0123456789") != std::string::npos;
  });
  return names;
}

void add_lines_with(const std::string& text, const std::string& part, const std::string& label,
                    std::vector<std::string>& found) {
  for (std::size_t begin = 0; begin < text.size();) {
    auto end = std::min(text.find('\n', begin), text.size());
    auto line = text.substr(begin, end - begin);
    if (line.find(part) != std::string::npos)
      found.push_back(label + line);
    begin = end + 1;
  }
}

} // namespace

std::string namespace_of(pid_t pid, const std::string& kind) {
  char target[PATH_MAX];
  auto size = ::readlink(("/proc/" + std::to_string(pid) + "/ns/" + kind).c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string{};
}

std::vector<pid_t> processes_in_namespace(const std::string& kind, const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& process : process_names())
    if (auto pid = static_cast<pid_t>(std::stol(process)); namespace_of(pid, kind) == name)
      found.push_back(pid);
  return found;
}

std::vector<std::string> traces_of(const std::string& data_dir, const std::string& cgroup_parent) {
  std::vector<std::string> found;
  for (const auto& process : process_names()) {
    auto base = "/proc/" + process;
    add_lines_with(read_small_file(base + "/mountinfo", 1 << 20).value_or(""), data_dir,
                   "mount of " + process + ": ", found);
    add_lines_with(read_small_file(base + "/cgroup").value_or(""), cgroup_parent + "/",
                   "process " + process + ": ", found);
    if (process != std::to_string(::getpid()) &&
        read_small_file(base + "/cmdline").value_or("").find(data_dir) != std::string::npos)
      found.push_back("process " + process + ": its command line names the data directory");
  }
  auto layout = cgroup_layout::detect();
  REQUIRE(layout);
  for (const auto& tree : layout->trees())
    for (const auto& name : directories_in(tree + cgroup_parent)) {
      auto group = tree + cgroup_parent + "/" + name;
      found.push_back("control group: " + group);
      for (const auto& nested : directories_in(group))
        found.push_back("control group: " + group + "/" + nested);
    }
  for (const auto& device : directories_in("/sys/block"))
    add_lines_with(read_small_file("/sys/block/" + device + "/loop/backing_file").value_or(""), data_dir,
                   device + ": ", found);
  for (const auto& directory :
       {boxes_directory(data_dir), states_directory(data_dir), layers_directory(data_dir)})
    for (const auto& name : names_in(directory))
      found.push_back("file: " + directory + "/" + name);
  return found;
}

crun_options test_options(const std::string& data_dir) {
  if (::geteuid() != 0)
    FAIL("these tests make real sandboxes and need root");
  crun_options options;
  auto image_dir = std::getenv("SANDY_IMAGE_DIR");
  options.image_dir = image_dir != nullptr ? image_dir : "/var/lib/sandy/images";
  if (!image_store{options.image_dir}.find("basic"))
    FAIL("no image \"basic\" in " + options.image_dir + ": run script/image");
  options.data_dir = data_dir;
  options.guest = SANDY_GUEST_PATH;
  options.launcher = SANDY_LAUNCH_PATH;
  options.copier = SANDY_COPY_LAYER_PATH;
  return options;
}

machine::machine()
    : options_(test_options(directory_.path)) {
  restart(options_);
}

void machine::restart() { restart(options_); }

void machine::restart(const crun_options& options) {
  auto made = crun_driver::make(options);
  if (!made)
    FAIL(text_of(made.error()));
  driver_ = std::move(*made);
  cgroup_parent_ = driver_->cgroup_parent();
}

machine::~machine() {
  auto ids = driver_->list();
  for (const auto& id : *ids)
    if (auto done = driver_->destroy(id); !done)
      std::cerr << "cannot destroy " << id.value << ": " << text_of(done.error()) << '\n';
  driver_.reset();
  auto left = traces();
  for (const auto& line : left)
    std::cerr << "left behind: " << line << '\n';
  if (!left.empty())
    std::abort(); // a destructor cannot fail a test in any milder way
}

sandbox_spec machine::spec() {
  return {make_sandbox_id(), "basic", {256u << 20, 1000, 64, 64u << 20}, next_slot_++};
}

std::string machine::script(const std::string& name, const std::string& body) {
  auto path = options_.data_dir + "/" + name;
  REQUIRE(write_new_file(path, "#!/bin/sh\n" + body));
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  return path;
}

} // namespace sandy::test
