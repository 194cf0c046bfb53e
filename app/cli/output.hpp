#pragma once

#include "messages/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sandy::cli {

/// Writes everything. Fails with cancelled when nobody reads any more, with internal otherwise.
result<void> write_all(int fd, std::string_view bytes);

/// To standard output. @returns 0, the exit code.
result<int> print(const std::string& text);

/// The same, indented; or the error that came instead.
result<int> print_json(result<nlohmann::json> answer);

/// Lines with their words below each other. @param rows all as long as the first, which is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

} // namespace sandy::cli
