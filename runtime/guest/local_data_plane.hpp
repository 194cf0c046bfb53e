#pragma once

#include "messages/sandbox_io.hpp"
#include "runtime/guest/activity.hpp"

#include <memory>
#include <mutex>
#include <unordered_map>

namespace sandy::guest {

/// The sandboxes of this machine whose bytes can be had. Thread safe; a look-up holds a lock for nanoseconds.
class local_data_plane final : public data_plane {
public:
  /// @param uses told of whoever has the sandbox_io.
  void add(const sandbox_id& id, std::shared_ptr<sandbox_io> io, std::shared_ptr<activity> uses);
  void remove(const sandbox_id& id);
  /// The sandbox is busy while somebody holds what this returns, or a stream that came from it.
  std::shared_ptr<sandbox_io> find(const sandbox_id& id) override;

  /// Since when nobody has used a sandbox from outside (processes that run by themselves inside count when
  /// the server looks at them, now and then); none while somebody does, and for an unknown one.
  std::optional<activity::time_point> idle_since(const sandbox_id& id);
  /// For those who use a sandbox past its sandbox_io, e.g. a connection to one of its ports: hold an
  /// `activity::use`. nullptr for an unknown one.
  std::shared_ptr<activity> uses_of(const sandbox_id& id);

private:
  struct entry {
    std::shared_ptr<sandbox_io> io;
    std::shared_ptr<activity> uses;
  };
  entry get(const sandbox_id& id);

  std::mutex mutex_;
  std::unordered_map<sandbox_id, entry> present_;
};

} // namespace sandy::guest
