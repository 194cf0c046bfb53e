#pragma once

#include "messages/sandbox_io.hpp"

#include <memory>
#include <mutex>
#include <unordered_map>

namespace sandy::guest {

/// The sandboxes of this machine whose bytes can be had. Thread safe; a look-up holds a lock for nanoseconds.
class local_data_plane final : public data_plane {
public:
  void add(const sandbox_id& id, std::shared_ptr<sandbox_io> io);
  void remove(const sandbox_id& id);
  std::shared_ptr<sandbox_io> find(const sandbox_id& id) override;

private:
  std::mutex mutex_;
  std::unordered_map<sandbox_id, std::shared_ptr<sandbox_io>> present_;
};

} // namespace sandy::guest
