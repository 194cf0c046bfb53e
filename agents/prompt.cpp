#include "agents/prompt.hpp"

namespace sandy::agents {

std::string wrapped_for_web_project(std::string_view prompt, std::string_view workspace) {
  std::string made = "You are working in ";
  made += workspace;
  made += ", a web application made with React and Vite.\n"
          "- The development server is running already and reloads the page when a file changes: do not "
          "start another "
          "one, and do not build the project to see a change.\n"
          "- Components are in src/; src/App.jsx or src/App.tsx is what the page shows first. Change what is "
          "there before "
          "you add files beside it.\n"
          "- Packages listed in package.json are installed. Add another one only where the task needs it, "
          "with npm.\n"
          "- Do not change the port, the host or the entry point of the development server.\n"
          "- Leave the application working: every import must exist, and nothing that was asked for may be a "
          "placeholder.\n"
          "If the task is not about this application, ignore these remarks and do the task.\n\n"
          "Task:\n";
  made += prompt;
  return made;
}

} // namespace sandy::agents
