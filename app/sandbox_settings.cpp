#include "app/setting_kinds.hpp"

namespace sandy {

void add_sandbox_settings(std::vector<setting>& all) {
  using std::chrono::milliseconds, std::chrono::seconds;
  auto group = std::string_view("Sandboxes");
  all.push_back(make<size_kind>("default_memory", group, FIELD(worker.default_limits.memory_bytes),
                                "Memory of a sandbox that asks for none"));
  all.push_back(make<cores_kind>("default_cpu", group, FIELD(worker.default_limits.cpu_millis),
                                 "CPU cores of a sandbox that asks for none"));
  all.push_back(make<count_kind<8>>("default_pids", group, FIELD(worker.default_limits.pids),
                                    "Processes and threads of a sandbox that asks for none"));
  all.push_back(make<size_kind>("default_disk", group, FIELD(worker.default_limits.disk_bytes),
                                "Disk of a sandbox that asks for none, beyond its image"));
  all.push_back(make<size_kind>("max_memory", group, FIELD(worker.max_limits.memory_bytes),
                                "Most memory a sandbox gets; more is cut to it"));
  all.push_back(make<cores_kind>("max_cpu", group, FIELD(worker.max_limits.cpu_millis),
                                 "Most CPU cores a sandbox gets"));
  all.push_back(make<count_kind<8>>("max_pids", group, FIELD(worker.max_limits.pids),
                                    "Most processes and threads a sandbox gets"));
  all.push_back(
      make<size_kind>("max_disk", group, FIELD(worker.max_limits.disk_bytes), "Most disk a sandbox gets"));
  all.push_back(make<duration_kind<seconds, false>>("default_ttl", group, FIELD(worker.default_ttl),
                                                    "Lifetime of a sandbox that asks for none"));
  all.push_back(make<duration_kind<seconds, true>>("max_ttl", group, FIELD(worker.max_ttl),
                                                   "Longest lifetime; more is cut to it, 0 means no limit"));
  all.push_back(make<duration_kind<seconds, true>>(
      "max_lifetime", group, FIELD(worker.max_lifetime),
      "Age at which a sandbox ends, however often it is renewed; 0 means no limit"));
  all.push_back(make<duration_kind<seconds, true>>(
      "default_idle_timeout", group, FIELD(worker.default_idle_timeout),
      "A sandbox that asks for none and is unused for this long ends; 0 means it may be"));
  all.push_back(make<count_kind<1>>("max_sandboxes", group, FIELD(worker.max_sandboxes),
                                    "Sandboxes alive at once; beyond, creations wait"));
  all.push_back(make<count_kind<1>>("create_concurrency", group, FIELD(worker.create_concurrency),
                                    "Sandboxes made at a time; the others wait for their turn"));
  all.push_back(make<count_kind<0>>("create_queue", group, FIELD(worker.create_queue),
                                    "Creations that may wait for room or for their turn; beyond, they are "
                                    "refused at once"));
  all.push_back(make<duration_kind<milliseconds, true>>(
      "create_wait", group, FIELD(worker.create_wait),
      "How long a creation waits for room and for its turn; then it is refused. 0 refuses at once"));
  all.push_back(make<timeout_kind>("guest_lease", group, FIELD(worker.guest_lease),
                                   "A sandbox that hears from no server for this long ends itself"));

  group = "Room";
  all.push_back(make<factor_kind>("memory_overcommit", group, FIELD(worker.room.memory_overcommit),
                                  "The sandboxes' memory limits together may be so many times the machine's "
                                  "memory; here and below, 0 means any number of times"));
  all.push_back(
      make<factor_kind>("cpu_overcommit", group, FIELD(worker.room.cpu_overcommit), "The same for cores"));
  all.push_back(make<factor_kind>("pids_overcommit", group, FIELD(worker.room.pids_overcommit),
                                  "The same for processes and threads"));
  all.push_back(make<factor_kind>("disk_overcommit", group, FIELD(worker.room.disk_overcommit),
                                  "The same for the disk that holds data_dir"));
  all.push_back(make<size_limit_kind>("memory_reserve", group, FIELD(worker.room.memory_reserve),
                                      "While less memory is available, nothing is created and preemptable "
                                      "sandboxes are ended; here and below, 0 means that nobody looks"));
  all.push_back(make<idle_cores_kind>("cpu_reserve", group, FIELD(worker.room.cpu_reserve),
                                      "While fewer cores are idle, nothing is created"));
  all.push_back(make<count_kind<0>>("pids_reserve", group, FIELD(worker.room.pids_reserve),
                                    "While the machine can have fewer more processes, nothing is created"));
  all.push_back(make<size_limit_kind>("disk_reserve", group, FIELD(worker.room.disk_reserve),
                                      "While less disk is free, nothing is created"));

  group = "Warm pools";
  all.push_back(make<count_kind<0>>(
      "prewarm_count", group, FIELD(prewarm_count),
      "Sandboxes kept ready for callers, in all; those of no other flavor are \"basic\""));
  all.push_back(make<count_kind<0>>("prewarm_basic", group, FIELD(prewarm_basic),
                                    "Sandboxes of the flavor \"basic\" kept ready, at least"));
  all.push_back(make<count_kind<0>>("prewarm_agent_ready", group, FIELD(prewarm_agent_ready),
                                    "Sandboxes of the flavor \"agent-ready\" kept ready, at least"));
  all.push_back(make<count_kind<1>>("pool_refill_rate", group, FIELD(worker.pool_refill_rate),
                                    "Warm sandboxes made per second and flavor, at most"));
  all.push_back(make<duration_kind<seconds, false>>("pool_max_age", group, FIELD(worker.pool_max_age),
                                                    "A warm sandbox that is older is replaced"));

  group = "Snapshots";
  all.push_back(make<count_kind<0>>("max_snapshots", group, FIELD(worker.max_snapshots),
                                    "Snapshots that a tenant may have"));

  group = "Images";
  all.push_back(make<size_kind>("max_image", group, FIELD(max_image_bytes),
                                "Size of an image that is imported: of its archive without compression, and "
                                "of what it unpacks to"));
  all.push_back(
      make<list_kind>("image_import_dirs", group, FIELD(image_import_dirs),
                      "Directories, separated by commas, whose archives an administrator may import "
                      "by their path; none given means none"));
  all.push_back(make<list_kind>(
      "image_registries", group, FIELD(image_registries),
      "Registries that images are fetched from, such as ghcr.io/team or registry.example.com:5000, separated "
      "by commas; none given means none"));
  all.push_back(make<list_kind>(
      "image_insecure_registries", group, FIELD(image_insecure_registries),
      "Of their hosts, those that are reached without TLS or with a certificate that nobody vouches for"));
  all.push_back(
      make<path_kind>("image_registry_auth", group, FIELD(image_registry_auth),
                      "File with credentials for registries, as skopeo login writes it; empty means none"));
  all.push_back(make<image_pull_kind>("image_pull", group, FIELD(image_pull),
                                      "Whether an image of these registries that is not there is fetched "
                                      "when a sandbox is to be made of it"));
  all.push_back(make<timeout_kind>("image_pull_timeout", group, FIELD(image_pull_timeout),
                                   "Until the fetching of an image is given up"));

  group = "Children";
  all.push_back(make<count_kind<0>>("child_max_alive", group, FIELD(worker.children.max_alive),
                                    "Sandboxes alive at once that one sandbox created"));
  all.push_back(make<count_kind<0>>("child_max_per_hour", group, FIELD(worker.children.max_per_hour),
                                    "Sandboxes that one sandbox creates in any 60 minutes"));
  all.push_back(make<count_kind<0>>("child_max_depth", group, FIELD(worker.children.max_depth),
                                    "Generations below a sandbox that no sandbox created"));
  all.push_back(make<duration_kind<seconds, false>>("child_default_ttl", group,
                                                    FIELD(worker.children.default_ttl),
                                                    "Lifetime of a child that asks for none"));
  all.push_back(make<duration_kind<seconds, false>>("child_max_ttl", group, FIELD(worker.children.max_ttl),
                                                    "Longest lifetime of a child; more is cut to it"));
}

} // namespace sandy
