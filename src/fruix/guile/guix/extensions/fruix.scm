;;; 'guix fruix build', 'package' and 'shell': packages by the tools of the machine of Fruix's daemon,
;;; whichever machine that is.
;;;
;;; 'guix build' knows a fixed list of systems and refuses others, among them x86_64-freebsd.  This
;;; command asks the daemon for its system and its host view, lowers packages for them by the build system
;;; 'host', and has the daemon build them.  The store need not be on this machine.
;;;
;;; 'guix fruix package' and 'guix fruix shell' are Guix's commands, where all packages are built and all
;;; profiles made with the host view.

;; The other modules are found from here: GUIX_EXTENSIONS_PATH alone has to do.
(eval-when (expand load eval)
  (let ((directory (dirname (dirname (dirname (current-filename))))))
    (unless (member directory %load-path)
      (set! %load-path (cons directory %load-path)))))

(define-module (guix extensions fruix)
  #:use-module (fruix build-system host)
  #:use-module (fruix host-view)
  #:use-module (fruix profile)
  #:use-module (gnu packages)
  #:use-module (guix build-system)
  #:use-module (guix derivations)
  #:use-module (guix diagnostics)
  #:use-module (guix i18n)
  #:use-module (guix packages)
  #:use-module (guix scripts)
  #:use-module ((guix scripts package) #:select (guix-package))
  #:use-module ((guix scripts shell) #:select (guix-shell))
  #:use-module ((guix status) #:select (with-status-verbosity))
  #:use-module (guix store)
  #:use-module (guix ui)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-37)
  #:export (guix-fruix))

(define (show-help)
  (display (G_ "Usage: guix fruix build [OPTION]... [-f FILE | PACKAGE]...
   or: guix fruix package OPTION...
   or: guix fruix shell OPTION... [PACKAGE]... [-- COMMAND...]
Build packages with the host view of Fruix's daemon, and print what came of them; or do what
'guix package' and 'guix shell' do, with packages and profiles that are made so.

  -f, --file=FILE       build the package, or list of packages, that FILE evaluates to
  -s, --system=SYSTEM   for SYSTEM; by default, for the daemon's own
      --host-view=NAME  with that view of the daemon's machine (base)
  -d, --derivations     print the derivations, build nothing
  -v, --verbosity=LEVEL say more or less while it builds
"))
  (exit 0))

(define (setting key)
  (lambda (_ name value result) (alist-cons key value result)))

(define %options
  (list (option '(#\h "help") #f #f (lambda _ (show-help)))
        (option '(#\f "file") #t #f (setting 'file))
        (option '(#\s "system") #t #f (setting 'system))
        (option '("host-view") #t #f (setting 'host-view))
        (option '(#\d "derivations") #f #f (lambda (_ name value result)
                                             (alist-cons 'derivations #t result)))
        (option '(#\v "verbosity") #t #f (lambda (_ name value result)
                                           (alist-cons 'verbosity (string->number value) result)))))

(define (host-package package)
  (if (eq? 'host (build-system-name (package-build-system package)))
      package
      (fruix-host-package package)))

(define (packages-of option)
  "The packages that OPTION asks for, with the build system 'host'."
  (match option
    (('file . file)
     (match (load* file (make-user-module '((guix packages) (fruix build-system host))))
       ((? package? package) (list (host-package package)))
       (((? package? packages) ...) (map host-package packages))
       (_ (leave (G_ "~a evaluates to no package~%") file))))
    (('argument . name) (list (host-package (specification->package name))))
    (_ '())))

(define (build-packages . words)
  (let* ((options (args-fold* words %options
                              (lambda (_ name . rest) (leave (G_ "~a: unrecognized option~%") name))
                              (lambda (word result) (alist-cons 'argument word result))
                              '()))
         (view (host-view (or (assq-ref options 'host-view) "base")))
         (system (or (assq-ref options 'system) (host-view-ref view 'system)))
         (packages (append-map packages-of (reverse options))))
    (when (null? packages)
      (leave (G_ "no package is named; see 'guix fruix build --help'~%")))
    (with-error-handling
      (with-store store
        (with-status-verbosity (or (assq-ref options 'verbosity) 2)
          (set-build-options store #:keep-going? #t #:print-build-trace #t #:print-extended-build-trace? #t
                             #:multiplexed-build-output? #t)
          (let ((drvs (map (lambda (package)
                             (package-derivation store package system #:graft? #f))
                           packages)))
            (if (assq-ref options 'derivations)
                (for-each (lambda (drv) (format #t "~a~%" (derivation-file-name drv))) drvs)
                (begin
                  (build-derivations store drvs)
                  (for-each (lambda (drv)
                              (for-each (lambda (output) (format #t "~a~%" (cdr output)))
                                        (derivation->output-paths drv)))
                            drvs)))))))))

(define (with-guile-for-build words)
  "WORDS with the option by which Guix doesn't lower its toolchain for a Guile that nothing is built with."
  (cons "--bootstrap" words))

(define (manage-packages . words)
  (use-host-profiles host-package)
  (apply guix-package (with-guile-for-build words)))

(define (spawn-shell . words)
  (use-host-profiles host-package)
  ;; Guix keeps profiles of shells by what was asked for, as if it built packages in one way only.
  (replace! '(guix describe) 'current-channels (lambda (original) (const '())))
  (apply guix-shell (with-guile-for-build words)))

(define-command (guix-fruix . words)
  (category extension)
  (synopsis "build packages with the tools of a Fruix daemon's machine")
  (match words
    (("build" words ...) (apply build-packages words))
    (("package" words ...) (apply manage-packages words))
    (("shell" words ...) (apply spawn-shell words))
    ((or () ("--help") ("-h")) (show-help))
    ((word _ ...) (leave (G_ "~a: unknown command; there are 'guix fruix build', 'package' and 'shell'~%")
                         word))))
