;; export.scm FILE PATH: write a path as an export stream, unsigned.
(use-modules (guix store) (ice-9 match))

(match (cdr (command-line))
  ((file path)
   (with-store store
     (call-with-output-file file
       (lambda (port) (export-paths store (list path) port #:sign? #f))))))
