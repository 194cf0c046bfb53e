#include "runtime/oci/image_document.hpp"

#include "runtime/crun/layout.hpp"
#include "runtime/files.hpp"
#include "runtime/oci/import_image.hpp"
#include "runtime/oci/sha256.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <set>

namespace sandy::runtime::oci {

namespace {

using nlohmann::json;

constexpr std::uint64_t most_result_bytes = 8 << 20;

/// What is kept of a configuration: how programs of the image want to be started (OCI image-spec, config.md).
constexpr const char* kept_members[] = {"Entrypoint", "Cmd",    "User",       "ExposedPorts",
                                        "Volumes",    "Labels", "StopSignal", "Healthcheck"};

caf::error broken() { return fail(errc::internal, "The image was unpacked, but not as it should have been"); }

/// The variables of a configuration, "NAME=value", as an object.
json environment_of(const json& config) {
  auto all = json::object();
  if (auto given = config.find("Env"); given != config.end() && given->is_array())
    for (const auto& each : *given) {
      auto text = each.is_string() ? each.get<std::string>() : std::string{};
      if (auto equals = text.find('='); equals != std::string::npos && equals > 0)
        all[text.substr(0, equals)] = text.substr(equals + 1);
    }
  return all;
}

std::string now() {
  char text[32];
  std::time_t seconds = std::time(nullptr);
  tm parts{};
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", ::gmtime_r(&seconds, &parts));
  return text;
}

} // namespace

result<import_outcome> read_import(int directory) {
  unique_fd file{::openat(directory, result_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  struct stat about{};
  if (!file || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode) ||
      static_cast<std::uint64_t>(about.st_size) > most_result_bytes)
    return broken();
  std::string text(static_cast<std::size_t>(about.st_size), '\0');
  if (::read(file.get(), text.data(), text.size()) != about.st_size)
    return broken();
  auto document = json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("digest") || !document["digest"].is_string() ||
      !document.contains("layers") || !document["layers"].is_array())
    return broken();
  import_outcome made;
  made.digest = document["digest"].get<std::string>();
  made.config = document.value("config", json::object());
  if (!made.config.is_object())
    made.config = json::object();
  if (!made.digest.starts_with("sha256:") || !is_sha256_hex(made.digest.substr(7)))
    return broken();
  std::set<std::string> seen;
  for (const auto& each : document["layers"]) {
    if (!each.is_object() || !each.contains("diff_id") || !each["diff_id"].is_string())
      return broken();
    import_outcome::layer layer{each["diff_id"].get<std::string>(),
                                each.value("size_bytes", std::uint64_t{0}),
                                each.value("inodes", std::uint64_t{0})};
    if (!is_sha256_hex(layer.diff_id) || !seen.insert(layer.diff_id).second)
      return broken();
    made.layers.push_back(std::move(layer));
  }
  if (made.layers.empty() || made.layers.size() >= most_image_trees)
    return broken();
  return made;
}

json image_document(const std::string& name, const import_outcome& from, json layers,
                    std::uint64_t size_bytes, std::uint64_t inodes) {
  json config = json::object();
  for (const auto* member : kept_members)
    if (auto found = from.config.find(member); found != from.config.end() && !found->is_null())
      config[member] = *found;
  json document{{"name", name},
                {"imported", true},
                {"base", ""},
                {"digest", from.digest},
                {"built_at", now()},
                {"layers", std::move(layers)},
                {"size_bytes", size_bytes},
                {"inodes", inodes},
                {"environment", environment_of(from.config)},
                {"config", std::move(config)}};
  if (auto found = from.config.find("WorkingDir"); found != from.config.end() && found->is_string())
    document["working_directory"] = *found;
  return document;
}

bool is_imported_document(const json& document) {
  auto found = document.is_object() ? document.find("imported") : document.end();
  return found != document.end() && *found == true;
}

} // namespace sandy::runtime::oci
