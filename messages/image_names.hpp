#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy {

/// Where an image is in a registry: `host[:port]/path[:tag]` or `host[:port]/path@sha256:...`.
struct image_reference {
  std::string registry; ///< host, with its port if one is named; lower case
  std::string path;
  std::string tag;    ///< "latest" when none is named; empty when there is a digest
  std::string digest; ///< "sha256:..."; empty: none

  /// One spelling for each reference.
  std::string text() const;
  friend bool operator==(const image_reference&, const image_reference&) = default;
};

/// Reads a reference that names its registry: a host with a dot or a port, or localhost. None for everything
/// else, also for one whose name in the store would be too long.
std::optional<image_reference> parse_image_reference(std::string_view text);

/// The name that an image from a registry has in the store. Different references have different names.
std::string store_name(const image_reference& reference);

/// What callers call images, and what that is in the store. A value; never changes once made.
class image_names {
public:
  image_names() = default;
  /// @param aliases each leads to an image's name or to a reference; not to another alias
  explicit image_names(std::map<std::string, std::string> aliases);

  /// The name in the store of what a caller calls `name`: an alias, a name, or a reference to a registry
  /// (`store_name`). `x:latest` is `x`. What is none of these comes back as it is: there is no such image.
  std::string resolve(std::string_view name) const;

  /// Where to get what a caller calls `name`: itself or what it is an alias of, when that is a reference.
  std::optional<image_reference> reference_of(std::string_view name) const;

  /// The aliases of an image of the store, sorted.
  std::vector<std::string> aliases_of(const std::string& image) const;

  const std::map<std::string, std::string>& aliases() const noexcept { return aliases_; }

private:
  std::string unaliased(std::string_view name) const;

  std::map<std::string, std::string> aliases_;
  std::map<std::string, std::string> meanings_; ///< the same, by one spelling for each name
  std::multimap<std::string, std::string> by_image_;
};

} // namespace sandy
