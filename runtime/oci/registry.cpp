#include "runtime/oci/registry.hpp"

#include "runtime/child_process.hpp"
#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace sandy::runtime::oci {

namespace {

/// Credentials for some registries.
constexpr std::size_t most_auth_bytes = 1 << 20;
/// Of the disk, spared for everything else, as when archives are unpacked.
constexpr std::uint64_t spared_part = 20;

/// What skopeo finds of our environment: the way out of the machine, and whom to trust.
std::vector<std::string> environment_of_skopeo() {
  std::vector<std::string> all{"HOME=/nonexistent", "LC_ALL=C.UTF-8"};
  for (const auto* name : {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
                           "SSL_CERT_FILE", "SSL_CERT_DIR"})
    if (const auto* value = std::getenv(name); value != nullptr && *value != '\0')
      all.push_back(std::string{name} + "=" + value);
  return all;
}

/// The credentials in memory: a file of their owner's cannot be read by the user that skopeo runs as.
result<unique_fd> credentials(const std::string& file) {
  auto text = read_small_file(file, most_auth_bytes);
  if (!text)
    return fail(errc::internal, "The credentials for registries cannot be read");
  unique_fd memory{::memfd_create("auth.json", MFD_CLOEXEC)};
  if (!memory || ::write(memory.get(), text->data(), text->size()) != static_cast<ssize_t>(text->size()))
    return system_failure("cannot pass credentials");
  return memory;
}

/// On disk, of everything below a directory that somebody is writing to.
std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t sum = 0;
  std::error_code none;
  for (std::filesystem::recursive_directory_iterator each{directory, none}, end; !none && each != end;
       each.increment(none)) {
    struct stat about{};
    if (::lstat(each->path().c_str(), &about) == 0)
      sum += static_cast<std::uint64_t>(about.st_blocks) * 512;
  }
  return sum;
}

result<void> some_disk_is_left(const std::string& directory) {
  struct statvfs about{};
  if (::statvfs(directory.c_str(), &about) != 0)
    return system_failure("cannot ask for the space on the disk");
  if (about.f_bavail < about.f_blocks / spared_part)
    return fail(errc::capacity_exhausted, "There is no space left for images");
  return caf::unit;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// What skopeo said last, without what it says around it. It knows no path of ours.
std::string last_words(const child_outcome& outcome) {
  auto text = outcome.errors;
  if (auto fatal = text.rfind("level=fatal msg="); fatal != std::string::npos)
    text.erase(0, fatal + std::string_view{"level=fatal msg="}.size());
  std::erase(text, '\\');
  std::erase(text, '"');
  return complaint({outcome.exit_status, outcome.timed_out, std::move(text)});
}

/// Skopeo has one status for all failures. Its sentences are those of the library that all of Podman's family
/// stands on; what none of them fits is an answer of the registry's that cannot be used.
caf::error why(const child_outcome& outcome) {
  // Its own failures have status 1: something before it did not work, or could not start it.
  if (outcome.exit_status == 127 || outcome.exit_status == 126)
    return fail(errc::internal, "Images cannot be fetched: skopeo cannot be started: " + last_words(outcome));
  auto said = last_words(outcome), plain = lower(said);
  auto says = [&plain](std::initializer_list<std::string_view> any) {
    return std::any_of(any.begin(), any.end(),
                       [&plain](auto each) { return plain.find(each) != std::string::npos; });
  };
  if (says({"no space left on device"}))
    return fail(errc::capacity_exhausted, "There is no space left for images");
  if (says({"file too large"}))
    return fail(errc::payload_too_large, "The image is larger than allowed");
  if (says({"unauthorized", "authentication required", "access to the resource is denied", "forbidden"}))
    return fail(errc::upstream_error, "The registry wants other credentials than it was given: " + said);
  if (says({"manifest unknown", "name unknown", "repository name not known", "not found"}))
    return fail(errc::image_not_found, "The registry has no such image: " + said);
  if (says({"digest did not match", "does not match", "digest mismatch"}))
    return fail(errc::digest_mismatch, "The registry sent another content than it announced: " + said);
  return fail(errc::upstream_error, "The image could not be fetched: " + said);
}

/// A directory that only that user writes to. @returns its path.
result<std::string> make_place(const std::string& directory, uid_t uid) {
  auto place = directory + "/pull";
  if (::mkdir(place.c_str(), 0700) != 0 || ::chown(place.c_str(), uid, uid) != 0)
    return system_failure("cannot make a place for the image");
  return place;
}

/// Where skopeo sees that directory: it need not be able to walk through those above it.
constexpr const char* seen_place = "/mnt";

} // namespace

bool is_allowed(const registry_options& options, const image_reference& reference) {
  auto whole = reference.registry + "/" + reference.path + "/";
  return std::any_of(options.allowed.begin(), options.allowed.end(), [&](const std::string& each) {
    return !each.empty() && whole.starts_with(each.ends_with('/') ? each : each + "/");
  });
}

result<unique_fd> pull(const registry_options& options, const image_reference& reference,
                       const std::string& directory, std::uint64_t most_bytes,
                       const std::function<result<void>(std::uint64_t)>& go_on) {
  if (::access(options.skopeo.c_str(), X_OK) != 0)
    return fail(errc::feature_unavailable, "Images cannot be fetched here: skopeo is not installed");
  auto place = make_place(directory, options.uid);
  if (!place)
    return std::move(place.error());
  child_command command;
  const auto user = std::to_string(options.uid);
  // The limit of each file is the kernel's; that of their sum is watched. It ends with the server, however
  // that ends: the kernel watches the thread that started it, which is the one that waits for it in
  // run_child.
  command.arguments = {"/usr/bin/unshare",
                       "--mount",
                       "--propagation",
                       "private",
                       "/bin/sh",
                       "-c",
                       "mount --bind \"$1\" \"$0\" && shift && exec \"$@\"",
                       seen_place,
                       *place,
                       "/usr/bin/prlimit",
                       "--fsize=" + std::to_string(most_bytes),
                       "--core=0",
                       "--nofile=1024",
                       "/usr/bin/setpriv",
                       "--reuid=" + user,
                       "--regid=" + user,
                       "--clear-groups",
                       "--no-new-privs",
                       "--inh-caps=-all",
                       "--ambient-caps=-all",
                       "--bounding-set=-all",
                       "--pdeathsig=KILL",
                       options.skopeo,
                       "--tmpdir",
                       seen_place,
                       "copy",
                       "--quiet"};
  auto& arguments = command.arguments;
  if (std::find(options.insecure.begin(), options.insecure.end(), reference.registry) !=
      options.insecure.end())
    arguments.emplace_back("--src-tls-verify=false");
  unique_fd auth;
  if (options.auth_file.empty()) {
    arguments.emplace_back("--src-no-creds");
  } else {
    auto opened = credentials(options.auth_file);
    if (!opened)
      return std::move(opened.error());
    auth = std::move(*opened);
    command.descriptors = {auth.get()};
    arguments.insert(arguments.end(), {"--src-authfile", "/proc/self/fd/3"});
  }
  arguments.insert(arguments.end(),
                   {"docker://" + reference.text(), std::string{"oci-archive:"} + seen_place + "/image.tar"});
  command.environment = environment_of_skopeo();
  command.deadline = std::chrono::steady_clock::now() + options.timeout;
  command.go_on = [&]() -> result<void> {
    auto bytes = bytes_below(*place);
    if (bytes > most_bytes)
      return fail(errc::payload_too_large, "The image is larger than allowed");
    if (auto left = some_disk_is_left(directory); !left)
      return left;
    return go_on(bytes);
  };
  auto outcome = run_child(command);
  if (!outcome)
    return std::move(outcome.error());
  if (outcome->timed_out)
    return fail(errc::deadline_exceeded, "The registry did not send the image in time");
  if (outcome->exit_status != 0)
    return why(*outcome);
  unique_fd file{
      ::open((*place + "/image.tar").c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  struct stat about{};
  if (!file || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode) || about.st_uid != options.uid)
    return fail(errc::upstream_error, "The image could not be fetched: there is no archive of it");
  return file;
}

} // namespace sandy::runtime::oci
