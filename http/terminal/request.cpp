#include "http/terminal/request.hpp"

#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"

#include <limits>

namespace sandy::http::terminal {

namespace {

/// What programs take this terminal for, where nobody says.
constexpr const char* terminal_type = "xterm-256color";

result<std::optional<std::uint64_t>> count(const exchange& ex, std::string_view name, std::uint64_t low,
                                           std::uint64_t high) {
  auto text = ex.query(name);
  if (!text)
    return std::optional<std::uint64_t>{};
  auto value = codec::parse_count(*text);
  if (!value || *value < low || *value > high)
    return fail(errc::invalid_argument, std::string{name} + " must be a whole number from " +
                                            std::to_string(low) + " to " + std::to_string(high));
  return value;
}

result<std::optional<terminal_size>> size_of(const exchange& ex) {
  auto columns = count(ex, "cols", 1, largest_side);
  if (!columns)
    return columns.error();
  auto rows = count(ex, "rows", 1, largest_side);
  if (!rows)
    return rows.error();
  if (!*columns && !*rows)
    return std::optional<terminal_size>{};
  terminal_size size;
  size.columns = static_cast<std::uint16_t>(columns->value_or(size.columns));
  size.rows = static_cast<std::uint16_t>(rows->value_or(size.rows));
  return std::optional{size};
}

} // namespace

result<request> read_request(const exchange& ex) {
  request wanted;
  if (auto id = ex.query("id")) {
    auto number = codec::parse_count(*id);
    if (!number || *number > std::numeric_limits<std::uint32_t>::max())
      return fail(errc::process_not_found, "Process not found");
    wanted.process_id = static_cast<std::uint32_t>(*number);
  }
  auto size = size_of(ex);
  if (!size)
    return size.error();
  wanted.size = *size;
  auto offset = count(ex, "offset", 0, std::numeric_limits<std::uint64_t>::max());
  if (!offset)
    return offset.error();
  wanted.offset = *offset;
  if (auto flag = ex.query("readonly")) {
    auto truth = codec::loose_boolean(*flag);
    if (!truth)
      return fail(errc::invalid_argument, "readonly must be true or false");
    wanted.read_only = *truth;
  }
  auto command = ex.query("command").value_or(""), directory = ex.query("cwd").value_or("");
  if (wanted.process_id && (!command.empty() || !directory.empty()))
    return fail(errc::invalid_argument, "A terminal that runs already has its command and directory");
  if (!directory.empty())
    if (auto why = codec::check_path(directory, "cwd"))
      return why;
  wanted.spec.script = std::move(command);
  wanted.spec.cwd = std::move(directory);
  wanted.spec.env = {{"TERM", terminal_type}};
  wanted.spec.terminal = wanted.size.value_or(terminal_size{});
  return wanted;
}

result<control> parse_control(std::string_view text) {
  auto message = codec::parse_object(text);
  if (!message)
    return message.error();
  codec::field_reader fields{*message};
  auto type = fields.text({"type"}).value_or("");
  if (type == "input") {
    auto data = fields.find({"data"});
    if (data == nullptr || !data->is_string())
      return fail(errc::invalid_argument, "input needs data, a string");
    return input{data->get<std::string>()};
  }
  if (type != "resize")
    return fail(errc::invalid_argument, "The type of a message is input or resize");
  auto columns = fields.whole({"cols", "columns"}, 1, largest_side);
  auto rows = fields.whole({"rows"}, 1, largest_side);
  if (fields.failed())
    return fields.error();
  if (!columns || !rows)
    return fail(errc::invalid_argument, "resize needs cols and rows");
  return terminal_size{static_cast<std::uint16_t>(*columns), static_cast<std::uint16_t>(*rows)};
}

} // namespace sandy::http::terminal
