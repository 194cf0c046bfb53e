#pragma once

#include "messages/sandbox_io.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::guest {

/// A line of a hosts file.
struct host_name {
  std::uint32_t address = 0; ///< IPv4, host byte order
  std::string name;
  friend bool operator==(const host_name&, const host_name&) = default;
};

/// "127.83.0.1"
std::string dotted(std::uint32_t address);

/// A hosts file with exactly these names of ours, at its end. Lines of anybody else stay as they are: ours
/// are known by the comment that they end with.
std::string with_host_names(std::string_view text, const std::vector<host_name>& names);

/// Makes these the names of ours in the sandbox's /etc/hosts, which is replaced at once or not at all. Fails
/// as file operations do, and with limit_reached when the file is not one that we want to read.
io_task<result<void>> write_host_names(std::shared_ptr<sandbox_io> in, std::vector<host_name> names);

} // namespace sandy::guest
