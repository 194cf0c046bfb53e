#include "app/cli/output.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iomanip>
#include <sstream>

namespace sandy::cli {

result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    auto count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fail(errno == EPIPE ? errc::cancelled : errc::internal,
                  std::string("Cannot write the output: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return caf::unit;
}

result<int> print(const std::string& text) {
  if (auto written = write_all(STDOUT_FILENO, text); !written)
    return std::move(written.error());
  return 0;
}

result<int> print_json(result<nlohmann::json> answer) {
  if (!answer)
    return std::move(answer.error());
  return print(answer->dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::ostringstream text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      text << std::left << std::setw(static_cast<int>(widths[i]) + 2) << row[i];
    text << row.back() << '\n';
  }
  return text.str();
}

} // namespace sandy::cli
