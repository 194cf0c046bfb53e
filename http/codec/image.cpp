#include "http/codec/image.hpp"

#include "http/codec/create.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/time_format.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

/// Of one request: a burst that a machine can make at once.
constexpr std::int64_t most_forks = 16;

} // namespace

json to_json(const image_info& image, const image_names& names) {
  auto created = iso_time(image.created_at);
  json all{{"name", image.name},
           {"image", image.name},
           {"snapshot", image.snapshot},
           {"createdAt", created},
           {"created_at", created}};
  if (image.snapshot || image.size_bytes > 0)
    all["sizeBytes"] = all["size_bytes"] = image.size_bytes;
  if (!image.snapshot) {
    all["imported"] = image.imported;
    all["digest"] = image.digest;
    all["layers"] = image.layers;
    all["aliases"] = names.aliases_of(image.name);
  } else {
    all["sourceSandboxId"] = all["source_sandbox_id"] = image.source.value;
  }
  return all;
}

json to_json(const std::vector<image_info>& images, const image_names& names) {
  auto list = json::array();
  for (const auto& image : images)
    list.push_back(to_json(image, names));
  return {{"total", list.size()}, {"images", std::move(list)}};
}

result<import_request> parse_import(const json& body) {
  field_reader fields{body};
  import_request request;
  request.name = fields.text({"name", "image"}).value_or("");
  request.path = fields.path({"path"}).value_or("");
  if (auto reference = fields.text({"reference"})) {
    request.reference = parse_image_reference(*reference);
    if (!request.reference)
      fields.refuse(errc::invalid_argument, "reference must be as ghcr.io/team/image:1 or ghcr.io/team/image@"
                                            "sha256:..., and not too long");
    else if (!request.path.empty())
      fields.refuse(errc::invalid_argument, "An image comes from a path or from a reference, not from both");
    else if (request.name.empty())
      request.name = store_name(*request.reference);
    if (fields.failed())
      return fields.error();
    return request;
  }
  if (request.name.empty())
    fields.missing("name");
  if (request.path.empty())
    fields.missing("path");
  else if (request.path.front() != '/')
    fields.refuse(errc::invalid_argument, "path must be absolute");
  if (fields.failed())
    return fields.error();
  return request;
}

result<std::string> parse_snapshot(const json& body) {
  field_reader fields{body};
  auto name = fields.text({"name", "image"}).value_or("");
  if (!name.empty() && !is_image_name(name))
    fields.refuse(
        errc::invalid_argument,
        "name must be 1 to 128 lower-case letters, digits, '.', '_' or '-', and not start with a dot");
  if (fields.failed())
    return fields.error();
  return name;
}

result<fork_sandbox> parse_fork(const json& body) {
  fork_sandbox request;
  field_reader fields{body};
  request.count = static_cast<std::uint32_t>(fields.whole({"count"}, 1, most_forks).value_or(1));
  request.parent.value = fields.text({"parent_sandbox_id", "parentSandboxId"}).value_or("");
  request.env = fields.env({"env", "envVars", "env_vars"});
  if (fields.failed())
    return fields.error();
  auto ttl = parse_ttl(body);
  if (!ttl)
    return ttl.error();
  request.ttl_seconds = *ttl;
  return request;
}

} // namespace sandy::http::codec
