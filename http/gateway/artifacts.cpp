#include "http/gateway/artifacts.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/time_format.hpp"
#include "http/routes/sha256.hpp"
#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sandy::http::gateway {

namespace {

/// Files that fit into a data URL; larger ones are fetched.
constexpr std::size_t most_inline_bytes = 1'000'000;

constexpr std::array<std::pair<std::string_view, std::string_view>, 20> types_of_names{
    {{".png", "image/png"},
     {".jpg", "image/jpeg"},
     {".jpeg", "image/jpeg"},
     {".gif", "image/gif"},
     {".webp", "image/webp"},
     {".svg", "image/svg+xml"},
     {".txt", "text/plain"},
     {".md", "text/markdown"},
     {".html", "text/html"},
     {".css", "text/css"},
     {".csv", "text/csv"},
     {".json", "application/json"},
     {".js", "text/javascript"},
     {".py", "text/x-python"},
     {".pdf", "application/pdf"},
     {".zip", "application/zip"},
     {".parquet", "application/vnd.apache.parquet"},
     {".mp3", "audio/mpeg"},
     {".wav", "audio/wav"},
     {".mp4", "video/mp4"}}};

std::string mime_type_of(std::string_view name) {
  for (const auto& [ending, type] : types_of_names)
    if (name.ends_with(ending))
      return std::string{type};
  return "application/octet-stream";
}

std::string kind_of(std::string_view mime) {
  if (mime.starts_with("image/"))
    return "image";
  if (mime == "text/csv" || mime.find("parquet") != std::string_view::npos)
    return "dataset";
  return mime == "application/octet-stream" ? "binary" : "file";
}

/// Nobody guesses one.
std::string new_id() {
  std::array<unsigned char, 6> random{};
  RAND_bytes(random.data(), random.size());
  constexpr std::string_view digits = "0123456789abcdef";
  std::string id = "artf_";
  for (auto byte : random) {
    id.push_back(digits[byte >> 4]);
    id.push_back(digits[byte & 0xf]);
  }
  return id;
}

} // namespace

result<std::shared_ptr<const artifact>> artifact_store::add(tenant_id owner, std::string display_name,
                                                            std::string mime_type, std::string bytes) {
  if (bytes.size() > std::min(limits_.each_bytes, limits_.bytes))
    return fail(errc::payload_too_large,
                "An artifact may have " + std::to_string(limits_.each_bytes) + " bytes");
  auto made = std::make_shared<artifact>();
  made->id = new_id();
  made->owner = std::move(owner);
  made->mime_type = mime_type.empty() ? mime_type_of(display_name) : std::move(mime_type);
  made->type = kind_of(made->mime_type);
  made->display_name = std::move(display_name);
  routes::sha256 digest;
  digest.update(bytes);
  made->sha256 = digest.hex();
  made->bytes = std::move(bytes);
  made->created_at = unix_now();
  made->ttl = limits_.ttl;
  std::scoped_lock lock{mutex_};
  make_room(made->bytes.size());
  bytes_ += made->bytes.size();
  order_.push_back({made, clock::now() + limits_.ttl});
  by_id_[made->id] = std::prev(order_.end());
  return entry{std::move(made)};
}

/// Lets go of what has expired, and of the oldest until there is room.
void artifact_store::make_room(std::uint64_t for_bytes) {
  auto now = clock::now();
  while (!order_.empty() && (order_.front().until <= now || order_.size() >= limits_.count ||
                             bytes_ + for_bytes > limits_.bytes)) {
    bytes_ -= order_.front().what->bytes.size();
    by_id_.erase(order_.front().what->id);
    order_.pop_front();
  }
}

std::shared_ptr<const artifact> artifact_store::find(const tenant_id& owner, std::string_view id) {
  std::scoped_lock lock{mutex_};
  make_room(0);
  auto found = by_id_.find(std::string{id});
  if (found == by_id_.end() || found->second->what->owner != owner)
    return nullptr;
  return found->second->what;
}

std::uint64_t artifact_store::bytes() const {
  std::scoped_lock lock{mutex_};
  return bytes_;
}

nlohmann::json descriptor(const artifact& what, std::string url) {
  if (what.type != "image" && what.bytes.size() <= most_inline_bytes && url.empty())
    url = "data:" + what.mime_type + ";base64," + codec::base64_encode(what.bytes);
  return {{"id", what.id},
          {"type", what.type},
          {"mime_type", what.mime_type},
          {"display_name", what.display_name},
          {"size_bytes", what.bytes.size()},
          {"sha256", what.sha256},
          {"created_at", codec::iso_time(what.created_at)},
          {"ttl_seconds", what.ttl.count()},
          {"url", std::move(url)}};
}

} // namespace sandy::http::gateway
