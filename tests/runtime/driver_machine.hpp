#pragma once

#include "runtime/driver.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sandy::test {

/// A driver on this machine, and what the machine holds for its sandboxes. On destruction nothing of them may
/// be left.
class driver_machine {
public:
  virtual ~driver_machine() = default;

  virtual runtime::driver& driver() = 0;
  /// Replaces the driver, as a restart of the server would; sandboxes live on.
  virtual void restart() = 0;
  /// A new, valid specification each time, with modest limits: 256 MiB, one core, 64 processes, 64 MiB of
  /// disk.
  virtual runtime::sandbox_spec spec() = 0;
  /// What is there of any sandbox, a line each.
  virtual std::vector<std::string> traces() const = 0;
  /// Whether `disk_bytes` is enforced.
  virtual bool bounds_disks() const = 0;

  /// Waits until the driver has the image of a sandbox at hand.
  void await_image(const runtime::sandbox_spec& wanted);
  /// Creates a sandbox, with its image at hand, and requires that it works.
  runtime::instance create(const runtime::sandbox_spec& wanted);
};

/// Of the driver that this program tests.
std::unique_ptr<driver_machine> make_driver_machine();

/// Behaves as that one does: for tests of what every driver promises (runtime/driver.hpp).
class any_machine {
public:
  runtime::driver& driver() { return machine_->driver(); }
  void restart() { machine_->restart(); }
  runtime::sandbox_spec spec() { return machine_->spec(); }
  std::vector<std::string> traces() const { return machine_->traces(); }
  bool bounds_disks() const { return machine_->bounds_disks(); }
  runtime::instance create(const runtime::sandbox_spec& wanted) { return machine_->create(wanted); }

private:
  std::unique_ptr<driver_machine> machine_ = make_driver_machine();
};

} // namespace sandy::test
