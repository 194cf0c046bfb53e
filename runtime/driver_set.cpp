#include "runtime/driver_set.hpp"

#include <algorithm>

namespace sandy::runtime {

driver_set::driver_set(std::unique_ptr<crun_driver> crun, std::unique_ptr<docker_driver> docker,
                       std::string usual)
    : crun_(std::move(crun))
    , docker_(std::move(docker))
    , usual_(std::move(usual)) {}

driver& driver_set::of(const sandbox_id& id) {
  if (docker_->knows(id))
    return *docker_;
  return *crun_;
}

driver& driver_set::maker_of(const sandbox_spec& spec) {
  const auto& name = spec.driver.empty() ? usual_ : spec.driver;
  if (name == docker_->name())
    return *docker_;
  return *crun_;
}

result<std::vector<sandbox_id>> driver_set::list() {
  auto all = crun_->list();
  auto more = docker_->list();
  if (!all || !more)
    return all ? std::move(more) : std::move(all);
  all->insert(all->end(), more->begin(), more->end());
  std::sort(all->begin(), all->end());
  all->erase(std::unique(all->begin(), all->end()), all->end());
  return all;
}

result<void> driver_set::end_copies() {
  auto crun = crun_->end_copies();
  auto docker = docker_->end_copies();
  return crun ? std::move(docker) : std::move(crun);
}

} // namespace sandy::runtime
