export default function App() {
  return (
    <main className="flex min-h-screen items-center justify-center bg-slate-50 text-slate-900">
      <h1 className="text-3xl font-semibold">Ready to build</h1>
    </main>
  );
}
