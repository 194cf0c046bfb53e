#include "runtime/guest/host_names.hpp"

#include "runtime/guest/whole_file.hpp"

#include <algorithm>

namespace sandy::guest {

namespace {

constexpr std::string_view hosts_file = "/etc/hosts";
constexpr std::string_view mark = "# sandy connection";
/// Whatever somebody wrote there, we hold no more of it.
constexpr std::size_t most_bytes = 1024 * 1024;

caf::error too_much() {
  return fail(errc::limit_reached, "/etc/hosts of the sandbox is too large to be edited");
}

/// The file's text; empty when there is none.
io_task<result<std::string>> read_hosts(std::shared_ptr<sandbox_io> in) {
  auto text = co_await read_beginning(std::move(in), std::string{hosts_file}, most_bytes + 1);
  if (!text && code_of(text.error()) == errc::file_not_found)
    co_return std::string{};
  if (text && text->size() > most_bytes)
    co_return too_much();
  co_return text;
}

} // namespace

std::string dotted(std::uint32_t address) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8)
    text += std::to_string(address >> shift & 0xff) + (shift > 0 ? "." : "");
  return text;
}

std::string with_host_names(std::string_view text, const std::vector<host_name>& names) {
  std::string out;
  while (!text.empty()) {
    auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    text.remove_prefix(line.size());
    auto content = line.substr(0, line.find_last_not_of("\r\n") + 1);
    if (!content.ends_with(mark))
      out += line;
  }
  if (!names.empty() && !out.empty() && !out.ends_with('\n'))
    out += '\n';
  for (const auto& each : names)
    out += dotted(each.address) + "\t" + each.name + "\t" + std::string{mark} + "\n";
  return out;
}

io_task<result<void>> write_host_names(std::shared_ptr<sandbox_io> in, std::vector<host_name> names) {
  auto before = co_await read_hosts(in);
  if (!before)
    co_return std::move(before.error());
  auto after = with_host_names(*before, names);
  if (after == *before)
    co_return caf::unit;
  write_options options;
  options.path = hosts_file;
  auto written = co_await write_whole(std::move(in), std::move(options), std::move(after));
  co_return written;
}

} // namespace sandy::guest
