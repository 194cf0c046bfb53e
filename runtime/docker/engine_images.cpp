#include "runtime/docker/engine_images.hpp"

#include "runtime/child_process.hpp"
#include "runtime/oci/sha256.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace sandy::runtime::docker {

namespace {

using namespace std::chrono_literals;

/// An engine answers from memory, unless it is busy removing an image.
constexpr auto patience = 10s;
/// For a file system of tens of gigabytes on a slow disk.
constexpr auto import_timeout = 15min;
/// Each is asked for by somebody who waits.
constexpr std::size_t most_wishes = 64;
/// Everybody who waits asks again within that time, and hears it; then it is tried anew.
constexpr auto failure_age = 10s;

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

bool engine_images::is_wished(const std::string& name) const {
  return std::any_of(wishes_.begin(), wishes_.end(), [&](const wish& each) { return each.name == name; });
}

result<bool> engine_images::provide(const origin& from, std::vector<std::string> trees) {
  auto name = name_of(from);
  {
    std::lock_guard lock{mutex_};
    if (is_wished(name))
      return false;
    auto failed = failures_.find(name);
    if (failed != failures_.end() && std::chrono::steady_clock::now() - failed->second.at < failure_age)
      return failed->second.why;
  }
  auto there = has(name);
  if (!there || *there)
    return there;
  std::lock_guard lock{mutex_};
  if (is_wished(name))
    return false;
  if (wishes_.size() >= most_wishes)
    return fail_for_now(errc::capacity_exhausted, "too many images wait to be copied for Docker's engine",
                        30);
  wishes_.push_back({std::move(name), std::move(trees)});
  if (!importer_.joinable())
    importer_ = std::thread{[this] { work(); }};
  wished_.notify_one();
  return false;
}

engine_images::~engine_images() {
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wished_.notify_one();
  if (importer_.joinable())
    importer_.join();
}

void engine_images::work() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wished_.wait(lock, [this] { return stopping_ || !wishes_.empty(); });
    if (stopping_)
      return;
    const auto next = wishes_.front();
    lock.unlock();
    auto done = import(next);
    lock.lock();
    wishes_.pop_front();
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(failures_, [&](const auto& each) { return now - each.second.at >= failure_age; });
    if (!done)
      failures_.insert_or_assign(next.name, failure{std::move(done.error()), now});
  }
}

result<void> engine_images::import(const wish& what) {
  const auto& name = what.name;
  if (auto there = has(name); there && *there) // it was done while somebody asked
    return caf::unit;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return system_failure("cannot make a pipe");
  unique_fd read_end{ends[0]}, write_end{ends[1]};
  child_command command;
  command.arguments = {options_.exporter, options_.stage};
  command.arguments.insert(command.arguments.end(), what.trees.begin(), what.trees.end());
  command.arguments.push_back(options_.own_tree);
  command.descriptors = {write_end.get()};
  command.deadline = within(import_timeout);
  command.go_on = [this]() -> result<void> {
    if (stopping_)
      return fail(errc::shutting_down, "the server stops");
    return caf::unit;
  };
  result<child_outcome> exported = child_outcome{};
  std::thread exporting{[&] {
    exported = run_child(command);
    write_end.reset(); // only now: the engine sees the end when the exporter's is known
  }};
  auto target = "/images/create?fromSrc=-&repo=" + encoded(name) + // Podman ignores a tag of its own
                "&changes=" + encoded("LABEL " + std::string{server_label} + "=" + options_.server);
  auto answer = engine_.upload(target, read_end.get(), command.deadline, [this] { return !stopping_; });
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
  auto kept = names;
  {
    std::lock_guard lock{mutex_};
    for (const auto& each : wishes_)
      kept.insert(each.name);
  }
  for (const auto& image : listed->body) {
    auto tags = image.is_object() ? image.find("RepoTags") : image.end();
    if (!image.is_object() || tags == image.end() || !tags->is_array())
      continue;
    for (const auto& tag : *tags) {
      auto name = tag.is_string() ? tag.get<std::string>() : std::string{};
      if (auto slash = name.rfind('/'); slash != std::string::npos) // Podman: docker.io/library/...
        name.erase(0, slash + 1);
      if (name.starts_with("sandy-" + options_.server + ":") && !kept.contains(name))
        // Refused while a container is made from it: the next time then.
        static_cast<void>(engine_.ask("DELETE", "/images/" + name, nullptr, within(patience)));
    }
  }
  return caf::unit;
}

} // namespace sandy::runtime::docker
