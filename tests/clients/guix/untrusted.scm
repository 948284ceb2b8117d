;; untrusted.scm PATH DERIVATION ARCHIVE: what somebody who isn't trusted may set, and may not do.
;; untrusted.scm PATH: the same of what asks that no connection before uses PATH.
(use-modules (guix store) (guix derivations) (srfi srfi-1) (srfi srfi-34) (ice-9 match) (ice-9 format))

(define-values (path drv archive)
  (match (cdr (command-line)) ((path drv archive) (values path drv archive)) ((path) (values path #f #f))))
(define daemon (open-connection))

(define (usable?)
  (catch #t (lambda () (find-roots daemon) #t) (lambda _ #f)))
(define (show label thunk)
  (format #t "~s: ~s~%" label
          (guard (c ((store-protocol-error? c)
                     (list 'error (store-protocol-error-message c) (store-protocol-error-status c))))
            (thunk)))
  (unless (usable?)
    (format #t "  (closed)~%")
    (set! daemon (open-connection)))
  (force-output))
(define-syntax-rule (? expression) (show 'expression (lambda () expression)))
(define (built name script)
  (build-derivations
   daemon (list (derivation daemon name (string-append (first (references daemon path)) "/bin/sh")
                            (list "-c" script) #:sources (references daemon path)))))

(when drv
  (? (set-build-options daemon #:keep-failed? #t #:keep-going? #t #:fallback? #t #:verbosity 0 #:rounds 2
                        #:build-cores 3 #:max-build-jobs 5 #:timeout 900 #:max-silent-time 800 #:offload? #t
                        #:use-substitutes? #t #:print-build-trace #t #:print-extended-build-trace? #t
                        #:multiplexed-build-output? #t #:terminal-columns 70 #:locale "C.UTF-8"
                        #:substitute-urls '("http://localhost:1" "file:///frx/cache")))
  (? (substitute-urls daemon))
  (? (built "cores" "echo $NIX_BUILD_CORES; echo x > $out"))
  (? (built "failing" "echo x > kept; exit 3"))
  (? (set-build-options daemon #:rounds 1 #:print-build-trace #t #:build-cores 2))
  (? (build-things daemon (list drv) (build-mode check)))
  (? (build-things daemon (list drv) (build-mode repair)))
  (? (ensure-path daemon path))
  (? (verify-store daemon))
  (? (verify-store daemon #:check-contents? #t))
  (? (verify-store daemon #:repair? #t))
  (? (query-failed-paths daemon))
  (? (clear-failed-paths daemon '("*")))
  (? (call-with-input-file archive (lambda (port) (import-paths daemon port))))
  (? (add-indirect-root daemon "/frx/home/root-of-nobody")))
(unless drv
  (? (delete-paths daemon (list path)))
  (? (optimize-store daemon)))
