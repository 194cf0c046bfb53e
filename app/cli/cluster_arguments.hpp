#pragma once

#include "app/cli/arguments.hpp"

#include <optional>

namespace CLI {
class App;
}

namespace sandy::cli {

/// `sandy cluster ...` on the command line.
class cluster_arguments {
public:
  /// Adds the command and those below it. @param app keeps references into this object.
  explicit cluster_arguments(CLI::App& app);
  cluster_arguments(const cluster_arguments&) = delete;
  cluster_arguments& operator=(const cluster_arguments&) = delete;

  bool parsed() const;
  /// After parsing: what was asked for. None: nothing below `cluster` was named.
  std::optional<command> chosen() const;

private:
  void add_order(const char* word, node_order order, const char* help);

  CLI::App* cluster_;
  CLI::App* on_certs_;
  CLI::App* on_status_;
  cluster_certs_command certs_;
  cluster_status_command status_;
  std::optional<node_order> order_;
  std::string node_;
};

} // namespace sandy::cli
