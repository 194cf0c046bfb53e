#pragma once

#include "messages/network.hpp"
#include "messages/secrets.hpp"

#include <functional>
#include <vector>

namespace sandy::runtime {

/// Where all that a sandbox sends to the world arrives, is judged and passed on, or not. Has a thread:
/// `apply`, `use_secrets` and `close` are for work that runs there. Destroying it closes it, soon and on the
/// right thread; until then it keeps the sandbox's network.
class network_gate {
public:
  virtual ~network_gate() = default;

  /// Runs `work` on the gate's thread, in the order of the calls. On any thread.
  virtual void post(std::function<void()> work) = 0;
  /// From now on what goes through must be allowed by each of these, and by the installation; what is open
  /// and is not is cut. Nothing goes through before the first call. Leaves out entries that are no
  /// destinations from lists of what is allowed; a list of what is denied that has one denies everything.
  virtual void apply(const std::vector<network_policy>& all_of) = 0;
  /// From now on puts these into requests to their hosts. Secrets that cannot be used are logged, and none is
  /// put anywhere.
  virtual void use_secrets(const sandbox_secrets& secrets) = 0;
  /// Cuts everything and takes no more: then nothing of ours holds the sandbox's network.
  virtual void close() noexcept = 0;
  /// On any thread.
  virtual network_usage usage() const = 0;
};

} // namespace sandy::runtime
