#pragma once

#include "messages/sandbox_io.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sandy::http::codec {

/// {"path", "mode"}
struct mkdir_request {
  std::string path;
  std::uint32_t mode = 0755;
};
result<mkdir_request> parse_mkdir(const nlohmann::json& body);

/// {"from", "to", "overwrite"}, also as source and destination.
struct move_request {
  std::string from;
  std::string to;
  bool overwrite = false;
};
result<move_request> parse_move(const nlohmann::json& body);

/// {"path", "format": "tar" | "tgz"}
struct archive_request {
  std::string path;
  bool gzip = false;
};
result<archive_request> parse_archive(const nlohmann::json& body);

/// "tar" is false; "tgz", "tar.gz" and "gzip" are true. Fails with invalid_argument.
result<bool> parse_archive_format(std::string_view format);

/// Names are repaired where they are not UTF-8, as JSON wants it.
nlohmann::json to_json(const file_info& info);

/// {"path", "files": [names of what is no directory], "entries": [everything]}, sorted by name.
nlohmann::json list_json(const std::string& path, std::vector<file_info> entries);

nlohmann::json to_json(const watch_event& event);

/// {"success": true, "path": ...}
nlohmann::json done_json(const std::string& path);

} // namespace sandy::http::codec
