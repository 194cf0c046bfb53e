#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::guest {

/// Whom a process runs as.
struct credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home; ///< empty: /etc/passwd does not say
};

/// What "USER" or "USER:GROUP" means, each a name or a number, as an image says it (OCI image-spec,
/// config.md). Without a group it is that of /etc/passwd, with all that /etc/group adds, or 0. Nothing for
/// names that are not there, and for numbers that a sandbox does not have (65536 and more).
/// @param passwd, group what these files hold
std::optional<credentials> credentials_of(std::string_view wanted, std::string_view passwd,
                                          std::string_view group);

/// The same with the files of this root; they are read up to 1 MiB.
std::optional<credentials> credentials_of(const std::string& wanted);

} // namespace sandy::guest
