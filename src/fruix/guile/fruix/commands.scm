;;; What code of phases may call: procedures of Guile's and of (guix build utils) that write shell down.
;;;
;;; Phases of Guix's packages are Scheme that runs while a package is built.  Host views have no Guile,
;;; so the code is run when the package is lowered, in a sandbox in which the procedures that would change
;;; files are replaced by these.  What isn't here (reading files, say) is an unbound variable, an argument
;;; that isn't taken here one too many: that is an error of its phase, with its name.

(define-module (fruix commands)
  #:use-module (fruix choices)
  #:use-module (fruix host-view)
  #:use-module (fruix shell)
  #:use-module (fruix substitution)
  #:use-module ((guix build utils) #:select (modify-phases))
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 sandbox)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-26)
  #:export (phase-module))

(define (invoke program . arguments)
  (emit (list (if (string=? program "make") (expansion "$make") program)) arguments))

(define (setenv name value)
  (unless (string-match "^[A-Za-z_][A-Za-z0-9_]*$" name)
    (error "no name of a variable:" name))
  (if value
      (emit (string-append "export " name "=" (quoted value)))
      (emit "unset" name)))

;; Guix sets variables that nobody has to set here; an empty one does for them.
(define (getenv name) (maybe name ":-"))

;;; Files.

(define (delete-file file) (emit "rm --" (list file)))
(define (delete-file-recursively file) (emit "delete_tree" (list file)))
(define (mkdir directory) (emit "mkdir --" (list directory)))
(define (mkdir-p directory) (emit "mkdir -p --" (list directory)))
(define (symlink target link) (emit "make_link -s" (list target link)))
(define (link old new) (emit "make_link" (list old new)))
(define (rename-file old new) (emit "rename_file" (list old new)))
(define (copy-file old new) (emit "copy_file" (list old new)))
(define* (copy-recursively old new #:key log) (emit "copy_recursively" (list old new)))
(define (install-file file directory) (emit "install_file" (list file directory)))
(define (chmod file mode) (emit "chmod" (number->string mode 8) (list file)))
(define (make-file-writable file) (emit "chmod u+rw" (list file)))
(define (chdir directory) (emit "cd --" (list directory)))
(define (getcwd) (assigned "pwd -P"))

(define (call-with-directory directory thunk)
  (let ((before (getcwd)))
    (chdir directory)
    (let ((value (thunk)))
      (chdir before)
      value)))

(define-syntax-rule (with-directory-excursion directory body ...)
  (call-with-directory directory (lambda () body ...)))

(define (test flag)
  (lambda (file) (condition (string-append "[ " flag " " (quoted file) " ]"))))

;; Scripts and makefiles find /bin/sh where they say.
(define* (patch-nothing file #:rest _) #t)

(define* (find-files directory #:optional pattern)
  (define script
    (match pattern
      (#f "g;p")
      ((? string?) (string-append (address pattern) "{g;p;}"))
      (_ (error "find-files takes a regular expression here, not" pattern))))
  (words (string-append "find_files " (quoted directory) " " (quoted script))))

(define (first-file some)
  (if (words? some) (first-of some) (car some)))

(define (for-every procedure some . more)
  (if (words? some)
      (for-each-word procedure some)
      (apply for-each procedure some more)))

(define (file-name command procedure)
  "PROCEDURE, which takes a file's name apart, or COMMAND where only the builder knows all of the name."
  (lambda (file . suffix)
    (if (any marked? (cons file suffix))
        (assigned (string-join (cons* command "--" (map quoted (cons file suffix)))))
        (apply procedure file suffix))))

;;; Output.

(define-record-type <output>            ;a port; TEXT is how the shell writes to it
  (output text)
  output?
  (text output-text))

(define %descriptor (make-parameter 3))

(define (write-text text port)
  (emit "printf '%s'" (list text) (if (output? port) (output-text port) "")))

(define* (display thing #:optional port)
  (write-text (if (string? thing) thing (format #f "~a" (decided thing 'display))) port))

(define* (newline #:optional port) (display "\n" port))

(define (shown-format port text . arguments)
  (when (and (any marked? arguments)
             (string-match "~[^aAdD%~]" (regexp-substitute/global #f "~~" text 'pre 'post)))
    (error "a format that looks into what only the builder can know:" text))
  (let ((text (apply format #f (if (any marked? arguments) (without-numbers text) text)
                     (map (cut decided <> 'format) arguments))))
    (if port
        (write-text text port)
        text)))

;; A number of the builder's is a string here.
(define (without-numbers text)
  (regexp-substitute/global #f "~." text
                            'pre
                            (lambda (found)
                              (match (match:substring found) ((or "~d" "~D") "~a") (other other)))
                            'post))

(define (call-with-output-file file procedure)
  (let ((descriptor (number->string (%descriptor))))
    (write-line "{ :")
    (parameterize ((%descriptor (+ 1 (%descriptor))))
      (procedure (output (string-append ">&" descriptor))))
    (write-line "} " descriptor "> " (quoted file))))

(define (with-output-to-file file thunk)
  (write-line "{ :")
  (thunk)
  (write-line "} > " (quoted file)))

(define (number->text number . radix)
  (if (string? number) number (apply number->string number radix)))

;;; Where they run.

(define %own
  `((invoke . ,invoke) (setenv . ,setenv) (getenv . ,getenv) (delete-file . ,delete-file)
    (delete-file-recursively . ,delete-file-recursively) (mkdir-p . ,mkdir-p) (mkdir . ,mkdir)
    (symlink . ,symlink) (link . ,link) (rename-file . ,rename-file) (copy-file . ,copy-file)
    (copy-recursively . ,copy-recursively) (install-file . ,install-file) (chmod . ,chmod)
    (make-file-writable . ,make-file-writable) (chdir . ,chdir) (getcwd . ,getcwd)
    (file-exists? . ,(test "-e")) (directory-exists? . ,(test "-d")) (symbolic-link? . ,(test "-L"))
    (dirname . ,(file-name "dirname" dirname)) (basename . ,(file-name "basename" basename))
    (parallel-job-count . ,(lambda () (expansion "$NIX_BUILD_CORES")))
    (display . ,display) (newline . ,newline) (format . ,shown-format)
    (call-with-output-file . ,call-with-output-file) (with-output-to-file . ,with-output-to-file)
    (current-output-port . ,(const #t)) (current-error-port . ,(const (output ">&2")))
    (patch-makefile-SHELL . ,patch-nothing) (patch-shebang . ,patch-nothing)
    (patch-/usr/bin/file . ,patch-nothing) (number->string . ,number->text)
    (find-files . ,find-files) (car . ,first-file) (first . ,first-file) (for-each . ,for-every) (not . ,shell-not)
    (const . ,const) (compose . ,compose)
    (negate . ,(lambda (procedure) (compose shell-not procedure)))))

;; What a module has beside what is here stays unbound.
(define-syntax-rule (use-nothing module ...) *unspecified*)

;; Guix's looks for the very binding that it knows by these names; here 'delete' is a guarded one.
(define-syntax shell-modify-phases
  (lambda (form)
    (syntax-case form ()
      ((_ phases (how argument ...) ...)
       (with-syntax (((known ...) (map (lambda (name) (datum->syntax #'modify-phases (syntax->datum name)))
                                       #'(how ...))))
         #'(modify-phases phases (known argument ...) ...))))))

(define %macros
  `((,(resolve-module '(fruix commands))
     (modify-phases . shell-modify-phases) (use-modules . use-nothing) (with-directory-excursion . with-directory-excursion))
    (,(resolve-module '(fruix substitution)) (substitute* . substitute*))
    (,(resolve-module '(fruix choices)) ,@%choices)))

;; Forms of Guile's that choose and aren't in (fruix choices): they would decide what only the builder can.
(define %left-out '(do catch with-exception-handler with-throw-handler dynamic-wind))
(define %bindings
  (map (match-lambda ((interface names ...) (cons interface (lset-difference eq? names %left-out))))
       all-pure-bindings))

(define %libraries
  '(((srfi srfi-26)) ((ice-9 match) #:hide (match)) ((srfi srfi-1) #:hide (for-each))))

(define (names-of interface)
  (module-map (lambda (name _) name) interface))

(define (phase-module view inputs)
  "A fresh module in which code of phases is evaluated.  INPUTS: the directories of inputs by label."
  (define (which name)
    (or (host-view-program view name)
        (let ((variable (fresh-name)))
          (write-line "if ! " variable "=$(command -v " (quoted name) "); then unset " variable "; fi")
          (maybe variable (string-append "?there is no program " name)))))
  (define (search-input kind)
    (lambda (_ file)
      (define name (string-trim file #\/))
      (or (and (string-prefix? "bin/" name) (host-view-program view (basename name)))
          (assigned (string-append "search_input " kind " " (quoted name))))))
  (define module (make-sandbox-module %bindings))
  (define libraries (map (cut apply resolve-interface <>) %libraries))
  (for-each (cut module-use! module <>) libraries)
  (guard-module! module (append-map names-of (append libraries (module-uses module))))
  (for-each (match-lambda ((name . value) (module-define! module name value)))
            `(,@%own
              (which . ,which)
              (search-input-file . ,(search-input "-f"))
              (search-input-directory . ,(search-input "-d"))
              (%build-inputs . ,inputs)))
  (for-each (match-lambda
              ((from macros ...)
               (for-each (match-lambda
                           ((name . own) (module-add! module name (module-variable from own))))
                         macros)))
            %macros)
  module)
