#include "runtime/docker/engine_images.hpp"

#include "runtime/child_process.hpp"
#include "runtime/oci/sha256.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <thread>

namespace sandy::runtime::docker {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 30s;
/// For a file system of tens of gigabytes on a slow disk.
constexpr auto import_timeout = 15min;

steady_time within(std::chrono::steady_clock::duration time) {
  return std::chrono::steady_clock::now() + time;
}

caf::error refused(const char* what, const engine_answer& answer) {
  auto text = answer.message();
  return fail(mentions_exhaustion(text) ? errc::capacity_exhausted : errc::sandbox_failed,
              std::string{what} + ": " + text);
}

} // namespace

std::string engine_images::name_of(const origin& from) const {
  oci::sha256 sum;
  sum.update(from.image);
  sum.update({"\0", 1});
  sum.update(from.top.value);
  return "sandy-" + options_.server + ":" + sum.hex().substr(0, 40);
}

result<bool> engine_images::has(const std::string& name) const {
  auto found = engine_.get("/images/" + name + "/json", within(patience));
  if (!found)
    return std::move(found.error());
  if (!found->good() && found->status != 404)
    return refused("the engine does not say whether it has an image", *found);
  return found->good();
}

result<void> engine_images::provide(const origin& from, std::vector<std::string> trees) {
  auto name = name_of(from);
  if (auto there = has(name); !there)
    return std::move(there.error());
  else if (*there)
    return caf::unit;
  std::lock_guard turn{importing_};
  if (auto there = has(name); there && *there) // by who had the turn before
    return caf::unit;
  return import(name, std::move(trees));
}

result<void> engine_images::import(const std::string& name, std::vector<std::string> trees) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return system_failure("cannot make a pipe");
  unique_fd read_end{ends[0]}, write_end{ends[1]};
  child_command command;
  command.arguments = {options_.exporter, options_.stage};
  command.arguments.insert(command.arguments.end(), trees.begin(), trees.end());
  command.arguments.push_back(options_.own_tree);
  command.descriptors = {write_end.get()};
  command.deadline = within(import_timeout);
  result<child_outcome> exported = child_outcome{};
  std::thread exporting{[&] {
    exported = run_child(command);
    write_end.reset(); // only now: the engine sees the end when the exporter's is known
  }};
  auto colon = name.find(':');
  auto target = "/images/create?fromSrc=-&repo=" + encoded(name.substr(0, colon)) +
                "&tag=" + name.substr(colon + 1) +
                "&changes=" + encoded("LABEL " + std::string{server_label} + "=" + options_.server);
  auto answer = engine_.upload(target, read_end.get(), command.deadline);
  read_end.reset(); // an exporter that is not read to the end stops
  exporting.join();
  if (!exported)
    return std::move(exported.error());
  if (!answer)
    return std::move(answer.error());
  auto whole = exported->exit_status == 0 && !exported->timed_out;
  if (whole && !answer->good())
    return refused("the engine does not take the image", *answer);
  if (!whole) { // half of an image is none
    static_cast<void>(engine_.ask("DELETE", "/images/" + name, nullptr, within(patience)));
    return fail(errc::sandbox_failed, "the image could not be read: " + complaint(*exported));
  }
  // An engine says 200 before it begins, and what went wrong later.
  auto there = has(name);
  if (there && !*there)
    return fail(errc::sandbox_failed, "the engine did not take the image");
  return there ? result<void>{caf::unit} : std::move(there.error());
}

result<void> engine_images::keep_only(const std::set<std::string>& names) {
  auto filter =
      encoded(nlohmann::json{{"label", {std::string{server_label} + "=" + options_.server}}}.dump());
  auto listed = engine_.get("/images/json?filters=" + filter, within(patience));
  if (!listed)
    return std::move(listed.error());
  if (!listed->good() || !listed->body.is_array())
    return refused("the engine does not list its images", *listed);
  std::lock_guard turn{importing_};
  for (const auto& image : listed->body) {
    auto tags = image.is_object() ? image.find("RepoTags") : image.end();
    if (!image.is_object() || tags == image.end() || !tags->is_array())
      continue;
    for (const auto& tag : *tags) {
      auto name = tag.is_string() ? tag.get<std::string>() : std::string{};
      if (auto slash = name.rfind('/'); slash != std::string::npos) // Podman: localhost/...
        name.erase(0, slash + 1);
      if (name.starts_with("sandy-" + options_.server + ":") && !names.contains(name))
        // Refused while a container is made from it: the next time then.
        static_cast<void>(engine_.ask("DELETE", "/images/" + name, nullptr, within(patience)));
    }
  }
  return caf::unit;
}

} // namespace sandy::runtime::docker
