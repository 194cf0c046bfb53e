#pragma once

namespace sandy::runtime {

/// A file or directory (content nullptr) that every sandbox has above its image.
struct disk_file {
  const char* path; ///< below "upper", parents first
  const char* content;
};

inline constexpr const char* sandbox_hostname = "sandbox";

/// Made with the disk's template, owned by the sandbox's root through the launcher. The name server is
/// the server: see runtime/network_capture.hpp.
inline constexpr disk_file disk_files[] = {
    {"etc", nullptr},
    {"etc/hosts", "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
    {"etc/hostname", "sandbox\n"},
    {"etc/resolv.conf", "nameserver 127.83.255.253\n"},
    {"workspace", nullptr},
};

} // namespace sandy::runtime
