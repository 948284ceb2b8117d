;;; The phases of the build system 'host': Guix's names for them, shell of Fruix's builders in them.
;;;
;;; The shell is that of Fruix's own packages (packages/build_systems/shell), so that both are built
;;; alike; only what package arguments change is written here.

(define-module (fruix phases)
  #:use-module (fruix shell)
  #:use-module (ice-9 match)
  #:use-module (ice-9 textual-ports)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:export (standard-phases
            builder-text
            set-up-text))

(define %directory (dirname (search-path %load-path "fruix/phases.scm")))
(define %shell-directory (string-append %directory "/../../packages/build_systems/shell/"))
(define %functions (string-append %directory "/functions.sh"))

(define (shell-text file . values)
  "The text of FILE.  @NAME.sh@ in it stands for the text of another file, @NAME@ for what VALUES has."
  (regexp-substitute/global
   #f "@([a-z_]+\\.sh|[A-Z]+)@"
   (call-with-input-file (string-append %shell-directory file) get-string-all)
   'pre
   (lambda (mark)
     (let ((name (match:substring mark 1)))
       (if (string-suffix? ".sh" name)
           (shell-text name)
           (assoc-ref values name))))
   'post))

(define (set-up-text)
  "What builders read first."
  (shell-text "set_up.sh"))

;; What Guix does in these has nothing to do here, but packages name their places.
(define %names
  '(set-SOURCE-DATE-EPOCH set-paths install-locale unpack patch bootstrap patch-usr-bin-file
    patch-source-shebangs set-up-linker configure patch-generated-file-shebangs build check install
    patch-shebangs tidy strip validate-runpath validate-documentation-location
    delete-info-dir-file patch-dot-desktop-files make-dynamic-linker-cache install-license-files
    reset-gzip-timestamps compress-documentation make-outputs record-source))

(define %bootstrap "
if [ ! -e configure ] && [ -e configure.ac ]; then autoreconf -vif; fi")

(define (words strings)
  (string-join (map (lambda (text) (string-append " " (quoted text))) strings) ""))

(define* (standard-phases #:key outputs patch-options configure-flags make-flags test-target tests?
                          parallel-build? parallel-tests? out-of-source?)
  "An association list of names and shell."
  (define variables (string-join (map (lambda (name) (string-append "\"$" name "\"")) outputs)))
  (define (shared file) (shell-text file (cons "OUTPUTS" variables)))
  (define* (make parallel? #:rest more)
    (string-append "\"$make\"" (if parallel? " -j\"$NIX_BUILD_CORES\"" "") (words make-flags)
                   (words more)))
  (define (place flag output below)
    (if (member output outputs)
        (list (string-append "--" flag "=" (expansion (string-append "$" output)) below))
        '()))
  (define configure
    (string-append
     "CONFIG_SHELL=/bin/sh\nexport CONFIG_SHELL\n"
     (if out-of-source?
         "fruix_top=$PWD\nmkdir ../build\ncd ../build\nsh \"$fruix_top/configure\""
         "sh ./configure")
     (words `(,(string-append "--prefix=" (expansion "$out"))
              ,@(place "bindir" "bin" "/bin")
              ,@(place "libdir" "lib" "/lib")
              ,@(place "includedir" "include" "/include")
              ,@(place "docdir" "doc" (string-append "/share/doc/" (expansion "$pname")))
              ,@configure-flags))))
  (define texts
    `((unpack . ,(shell-text "unpack.sh"))
      (patch . ,(regexp-substitute/global #f "patch -p1" (shell-text "patch.sh")
                                          'pre (string-append "patch" (words patch-options)) 'post))
      (bootstrap . ,%bootstrap)
      (set-up-linker . ,(shell-text "set_up_linker.sh"))
      (configure . ,configure)
      (build . ,(make parallel-build?))
      (check . ,(if tests? (make parallel-tests? test-target "VERBOSE=1") ""))
      (install . ,(make #f "install"))
      (tidy . ,(shared "tidy.sh"))
      (strip . ,(shared "strip.sh"))
      (validate-runpath . ,(shared "validate_runpath.sh"))
      (make-outputs . ,(string-append "set -- " variables
                                      "\nfor fruix_output; do [ -e \"$fruix_output\" ] || mkdir \"$fruix_output\"; done"))
      (record-source . ,(shell-text "record_source.sh"))))
  (map (lambda (name) (cons name (or (assq-ref texts name) ""))) %names))

(define (builder-text phases)
  "The builder: runs PHASES, an association list of names and shell; those without text are left out."
  (define (function name)
    (string-append "phase_" (string-map (lambda (char) (if (char-alphabetic? char) char #\_)) name)))
  (define named
    (filter-map (match-lambda
                  ((name . text)
                   (let ((text (string-trim-both text)))
                     (and (not (string-null? text)) (cons (symbol->string name) text)))))
                phases))
  (string-append
   "set -eu\n. \"$setUp\"\ntrap '{ say_failure $?; } 2>/dev/null' EXIT\n" (call-with-input-file %functions get-string-all)
   (string-concatenate
    (map (match-lambda ((name . text) (format #f "\n~a() {\nset -x\n~a\n}\n" (function name) text))) named))
   "\n"
   (string-concatenate
    (map (match-lambda
           ((name . _) (format #f "{ begin_phase ~a; } 2>/dev/null\n~a\n" name (function name))))
         named))
   "{ set +x; } 2>/dev/null\n"))
